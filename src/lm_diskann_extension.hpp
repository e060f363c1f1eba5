#pragma once

#include "duckdb/main/extension.hpp"

namespace duckdb {

//! For hosts that link the extension: database.LoadStaticExtension<LmDiskannExtension>().
class LmDiskannExtension : public Extension {
public:
	void Load(ExtensionLoader &loader) override;
	std::string Name() override;
	std::string Version() const override;
};

} // namespace duckdb
