#pragma once

#include "config/fields.hpp"
#include "yaml/yaml.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::workflow {

/// What stands without quotes is a boolean or a number, if it looks like one.
boost::json::value to_json(const yaml::YamlNode& node);

/// Of ASCII letters.
std::string in_lower_case(std::string text);

/// The fields of one mapping of a workflow file, by type. Null is absent; what is wrong is
/// reported, read as absent, and remembered. `mapping` and `report` must outlive it.
class FieldReader {
public:
    /// `prefix` comes before each message.
    FieldReader(const yaml::YamlNode& mapping, std::string prefix, yaml::Report& report);

    /// Reports each key that is not known, and warns of each that was left without a value. An
    /// error for YAML's merge key: fields would be lost.
    /// `meant` says which key somebody has meant who knows other systems.
    using KeyAlias = std::pair<std::string_view, std::string_view>;
    void check_keys(std::span<const std::string_view> known, std::span<const KeyAlias> meant = {});
    void report_unknown(const yaml::YamlEntry& entry, std::string hint);

    [[nodiscard]] const yaml::YamlNode& node() const noexcept { return mapping_; }

    /// Null if it is absent.
    [[nodiscard]] const yaml::YamlNode* find(std::string_view key) const;

    /// Of two names of one field that which is there: an error if both are. Empty if none is.
    std::string_view either(std::string_view name, std::string_view other);

    std::optional<bool> boolean(std::string_view key);
    std::optional<std::string> text(std::string_view key);
    /// Text of which nothing depends on its type: `1.0` is read as written, with a warning.
    std::optional<std::string> prose(std::string_view key);
    /// One of some words; which one.
    std::optional<std::size_t> choice(std::string_view key,
                                      std::span<const std::string_view> words);
    std::optional<int> integer(std::string_view key, int least, int most);
    std::optional<double> number(std::string_view key, double least, double most);
    /// A list of texts, or a text that stands for a list of one.
    std::vector<std::string> texts(std::string_view key);
    /// The same for arguments: a number or a boolean is the text that it is written as.
    std::vector<std::string> words(std::string_view key);
    /// Null if it is absent, or no mapping.
    const yaml::YamlNode* mapping(std::string_view key);
    boost::json::object object(std::string_view key);
    /// The fields of a mapping. Those that are wrong are remembered there: see `take_wrong`.
    std::optional<FieldReader> within(std::string_view key);
    /// A condition: text, true or false. Empty text is wrong: one that got lost must not be taken
    /// for one that holds.
    std::optional<std::string> expression(std::string_view key);

    /// At the field, or at the mapping where it is absent.
    void error(std::string_view key, std::string_view message, std::string hint = {});
    void warning(std::string_view key, std::string_view message, std::string hint = {});
    void wrong_type(std::string_view key, std::string_view expected);

    /// Remembers what is wrong in the mapping of a field, as `KEY.INNER`.
    void take_wrong(std::string_view key, const FieldReader& inner);
    /// The keys of fields that are wrong.
    [[nodiscard]] const std::vector<std::string>& wrong() const noexcept { return wrong_; }

private:
    [[nodiscard]] yaml::Position place(std::string_view key) const;
    [[nodiscard]] bool begins_with_tag(const yaml::YamlNode& node) const;
    std::vector<std::string> list(std::string_view key, bool as_written);

    const yaml::YamlNode& mapping_;
    std::string prefix_;
    yaml::Report& report_;
    config::Fields fields_;
    std::vector<std::string> wrong_;
};

}  // namespace autoexec::workflow
