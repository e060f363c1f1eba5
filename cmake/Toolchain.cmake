# Compiler flags shared by every target, and faster tools where the machine has them.

# lm_diskann_warnings: linked privately by our own targets; headers of others are SYSTEM and stay quiet.
add_library(lm_diskann_warnings INTERFACE)
target_compile_options(lm_diskann_warnings INTERFACE
	-Wall -Wextra -Wpedantic -Wextra-semi -Wnon-virtual-dtor -Wsuggest-override -Wimplicit-fallthrough -Wvla
	$<$<CXX_COMPILER_ID:GNU>:-Wlogical-op>)

add_compile_options(-ffunction-sections -fdata-sections)
if(SANITIZE)
	set(CMAKE_CXX_FLAGS_RELEASE "-O1 -g -DNDEBUG")
	add_compile_options(-fsanitize=${SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
	add_link_options(-fsanitize=${SANITIZE})
endif()

if(FUZZ)
	add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
	# The sloppiness lets ccache keep objects that use the precompiled header.
	set(CMAKE_CXX_COMPILER_LAUNCHER
		"${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime "${CCACHE}")
endif()

include(CheckLinkerFlag)
foreach(linker mold lld)
	check_linker_flag(CXX -fuse-ld=${linker} HAVE_LINKER_${linker})
	if(HAVE_LINKER_${linker})
		add_link_options(-fuse-ld=${linker})
		break()
	endif()
endforeach()
