#pragma once

#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::config {

/// Reads the fields of one mapping by type. What is absent is no error; what is wrong is reported,
/// and read as absent. `mapping` and `report` must outlive it.
class Fields {
public:
    /// `prefix` comes before each message, as in `Agent 2: `.
    Fields(const yaml::YamlNode& mapping, std::string prefix, yaml::Report& report)
        : mapping_(mapping), prefix_(std::move(prefix)), report_(report)
    {}

    [[nodiscard]] const yaml::YamlNode* find(std::string_view key) const
    {
        return mapping_.find(key);
    }

    /// False, and an error, if it is absent.
    bool require(std::string_view key);

    std::optional<bool> boolean(std::string_view key);
    std::optional<std::string> string(std::string_view key);
    /// `what` completes "must be …" where the value is none of `least` … `most`.
    std::optional<std::int64_t> integer(std::string_view key, std::int64_t least, std::int64_t most,
                                        std::string_view what);
    /// The items of a list, which must not be empty; `item` says what it is a list of. Null if
    /// absent or wrong.
    const std::vector<yaml::YamlNode>* list(std::string_view key, std::string_view item);

    /// A warning for each key that is not known.
    void warn_unknown(std::span<const std::string_view> known);

    void error(yaml::Position at, std::string_view message, std::string hint = {});
    void wrong_type(std::string_view key, const yaml::YamlNode& value, std::string_view expected);

private:
    const yaml::YamlNode& mapping_;
    std::string prefix_;
    yaml::Report& report_;
};

/// What a value of the wrong type is, and what to do about it.
std::string type_hint(const yaml::YamlNode& value, std::string_view expected);

}  // namespace autoexec::config
