#pragma once

#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::yaml {

/// Reads the fields of one mapping by type. An absent field is no error; an invalid one is
/// reported, read as absent, and remembered. `mapping` and `report` must outlive it.
class Fields {
public:
    /// Whether a field with the value null is invalid, or absent.
    enum class NullValue { invalid, absent };

    /// `prefix` precedes each message: `Agent 2: `.
    Fields(const YamlNode& mapping, std::string prefix, Report& report,
           NullValue null_value = NullValue::invalid);

    [[nodiscard]] const YamlNode& node() const noexcept { return mapping_; }

    /// Null if it is absent.
    [[nodiscard]] const YamlNode* find(std::string_view key) const;
    /// Reports an error and returns false if it is absent.
    bool require(std::string_view key);

    std::optional<bool> boolean(std::string_view key);
    std::optional<std::string> text(std::string_view key);
    /// `expected` completes "must be …"; empty: `an integer from LEAST to MOST`.
    std::optional<std::int64_t> integer(std::string_view key, std::int64_t least, std::int64_t most,
                                        std::string_view expected = {});
    std::optional<double> number(std::string_view key, double least, double most);
    /// The items of a list, which must not be empty; `item` names one in the message. Null if it is
    /// absent or invalid.
    const std::vector<YamlNode>* list(std::string_view key, std::string_view item);

    void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }

    /// Warns of each key that is not in `known`.
    void warn_unknown(std::span<const std::string_view> known);

    void error(Position at, std::string_view message, std::string hint = {});
    /// At the field, or at the mapping if it is absent; remembers the field as invalid.
    void error(std::string_view key, std::string_view message, std::string hint = {});
    void warning(std::string_view key, std::string_view message, std::string hint = {});
    /// `name` is that of the value in the message.
    void wrong_type(std::string_view name, const YamlNode& value, std::string_view expected);
    /// Remembers the field as invalid.
    void wrong_type(std::string_view key, std::string_view expected);

    /// The keys that were looked up, which must outlive it.
    [[nodiscard]] const std::vector<std::string_view>& asked() const noexcept { return asked_; }

    /// The keys of the invalid fields.
    [[nodiscard]] const std::vector<std::string>& wrong() const noexcept { return wrong_; }

    [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }

protected:
    [[nodiscard]] Report& report() const noexcept { return report_; }
    void remember_wrong(std::string key) { wrong_.push_back(std::move(key)); }

private:
    [[nodiscard]] Position place(std::string_view key) const;

    const YamlNode& mapping_;
    std::string prefix_;
    Report& report_;
    NullValue null_value_;
    mutable std::vector<std::string_view> asked_;
    std::vector<std::string> wrong_;
};

/// Describes a value of the wrong type, and how to correct it.
std::string type_hint(const YamlNode& value, std::string_view expected);

}  // namespace autoexec::yaml
