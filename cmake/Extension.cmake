# The targets that need DuckDB, all from the same objects:
#   lm_diskann_extension   lm_diskann.duckdb_extension, for LOAD in any DuckDB of the same version
#   lm_diskann_host        the objects as a static library beside libduckdb.so, for C++ tests and the shell
#   lm_diskann_shell       a SQL shell with the extension linked in

file(GLOB LMD_ADAPTER_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/adapter/*.cpp")
add_library(lm_diskann_objects OBJECT ${LMD_ADAPTER_SOURCES} "${PROJECT_SOURCE_DIR}/src/lm_diskann_extension.cpp")
target_link_libraries(lm_diskann_objects PUBLIC lm_diskann_core DuckDB::headers PRIVATE lm_diskann_warnings)
target_compile_definitions(lm_diskann_objects PRIVATE LMD_VERSION="v${PROJECT_VERSION}")
target_precompile_headers(lm_diskann_objects PRIVATE <duckdb.hpp>)
target_compile_options(lm_diskann_objects PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)

# DuckDB derives the entry point's name from the file name, so only the file with the footer is called lm_diskann.
# RUNPATH $ORIGIN: a host that hides its own DuckDB finds the libduckdb.so laid beside the extension.
add_library(lm_diskann_module MODULE)
target_link_libraries(lm_diskann_module PRIVATE lm_diskann_objects DuckDB::duckdb)
target_link_options(lm_diskann_module PRIVATE -Wl,--gc-sections -Wl,--exclude-libs,ALL)
if(NOT SANITIZE)
	# Proves at link time that libduckdb.so exports every DuckDB function used.
	target_link_options(lm_diskann_module PRIVATE -Wl,-z,defs)
endif()
set_target_properties(lm_diskann_module PROPERTIES
	PREFIX "" OUTPUT_NAME lm_diskann_without_footer SUFFIX .so NO_SONAME ON
	LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/module"
	INSTALL_RPATH "\$ORIGIN" BUILD_WITH_INSTALL_RPATH ON)

set(LMD_EXTENSION "${PROJECT_BINARY_DIR}/lm_diskann.duckdb_extension")
set(LMD_FOOTER_SCRIPT "${PROJECT_SOURCE_DIR}/cmake/append_footer.sh")
add_custom_command(OUTPUT "${LMD_EXTENSION}"
	COMMAND sh "${LMD_FOOTER_SCRIPT}" $<TARGET_FILE:lm_diskann_module> "${LMD_EXTENSION}"
		${DUCKDB_PLATFORM} ${DUCKDB_VERSION} v${PROJECT_VERSION}
	DEPENDS lm_diskann_module "${LMD_FOOTER_SCRIPT}"
	COMMENT "Appending the footer to lm_diskann.duckdb_extension" VERBATIM)
add_custom_target(lm_diskann_extension ALL DEPENDS "${LMD_EXTENSION}")

add_library(lm_diskann_host STATIC $<TARGET_OBJECTS:lm_diskann_objects>)
target_link_libraries(lm_diskann_host PUBLIC lm_diskann_core DuckDB::duckdb)
set_target_properties(lm_diskann_host PROPERTIES LINKER_LANGUAGE CXX)

find_path(EDITLINE_INCLUDE_DIR editline/readline.h REQUIRED)
find_library(EDITLINE_LIBRARY edit REQUIRED)
file(GLOB LMD_SHELL_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/shell/*.cpp")
add_executable(lm_diskann_shell ${LMD_SHELL_SOURCES})
target_include_directories(lm_diskann_shell SYSTEM PRIVATE "${EDITLINE_INCLUDE_DIR}")
target_link_libraries(lm_diskann_shell PRIVATE lm_diskann_host "${EDITLINE_LIBRARY}" lm_diskann_warnings)
# In a release everything lies beside the shell. RPATH rather than RUNPATH: it holds for what libedit needs, too.
set_target_properties(lm_diskann_shell PROPERTIES INSTALL_RPATH "\$ORIGIN")
target_link_options(lm_diskann_shell PRIVATE -Wl,--disable-new-dtags)
install(TARGETS lm_diskann_shell DESTINATION . COMPONENT shell)

# ---- The release: see scripts/dist.sh ---------------------------------------------------------------------------
set(LMD_DIST_ARGUMENTS "${PROJECT_BINARY_DIR}" $<TARGET_FILE:lm_diskann_module> "${DUCKDB_LIBRARY}"
	${DUCKDB_PLATFORM} ${DUCKDB_VERSION} v${PROJECT_VERSION})
add_custom_target(dist
	COMMAND "${PROJECT_SOURCE_DIR}/scripts/dist.sh" "${PROJECT_BINARY_DIR}/dist" ${LMD_DIST_ARGUMENTS}
	DEPENDS lm_diskann_module lm_diskann_shell USES_TERMINAL VERBATIM)
