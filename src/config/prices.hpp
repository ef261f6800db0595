#pragma once

#include "autoexec/output_rules.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace autoexec::yaml {
struct YamlNode;
}

/// The setting `prices` as text: JSON, so that environment variables can set it, too.
namespace autoexec::config {

/// Nothing unless each model has the prices of input and output. Those of a cache are by default
/// that of the input, so that an estimate is rather too high. Pure.
std::optional<ModelPrices> parse_prices(std::string_view json);
std::string format_prices(const ModelPrices& prices);

/// The JSON for a mapping in a file, valid or not.
std::string prices_json(const yaml::YamlNode& node);

}  // namespace autoexec::config
