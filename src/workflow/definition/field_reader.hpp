#pragma once

#include "yaml/fields.hpp"
#include "yaml/yaml.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::workflow {

/// A value without quotes is a boolean or a number, if it has the form of one.
boost::json::value to_json(const yaml::YamlNode& node);

/// The fields of one mapping of a workflow file. Null is absent.
class FieldReader : public yaml::Fields {
public:
    /// `prefix` precedes each message.
    FieldReader(const yaml::YamlNode& mapping, std::string prefix, yaml::Report& report);

    /// A key of another system, and the key that it has here.
    using KeyAlias = std::pair<std::string_view, std::string_view>;
    /// When all fields have been read: reports each key that was not looked up, and each without a
    /// value. YAML's merge key is an error: fields would be lost.
    void check_keys(std::span<const KeyAlias> meant = {});
    void report_unknown(const yaml::YamlEntry& entry, std::string hint);

    /// Which of two names of one field exists; empty if none does. An error if both do.
    std::string_view either(std::string_view name, std::string_view other);

    std::optional<int> integer(std::string_view key, int least, int most);
    /// Text for which the type does not matter: `1.0` is read as written, with a warning.
    std::optional<std::string> prose(std::string_view key);
    /// The index of one of some words.
    std::optional<std::size_t> choice(std::string_view key,
                                      std::initializer_list<std::string_view> words);
    /// A list of texts, or a single text as a list of one.
    std::vector<std::string> texts(std::string_view key);
    /// The same for arguments: a number or a boolean is the text that it is written as.
    std::vector<std::string> words(std::string_view key);
    /// Null if it is absent or not a mapping.
    const yaml::YamlNode* mapping(std::string_view key);
    boost::json::object object(std::string_view key);
    /// The fields of a mapping. It remembers its invalid fields itself: see `take_wrong`.
    std::optional<FieldReader> within(std::string_view key);
    /// A condition: text, true or false. Empty text is an error: a lost condition must not count as
    /// true.
    std::optional<std::string> expression(std::string_view key);

    /// For the fields of a mapping in a list.
    [[nodiscard]] FieldReader of_item(const yaml::YamlNode& mapping, std::string_view name) const;
    /// Remembers a field as invalid that was reported already.
    void mark_wrong(std::string_view key) { remember_wrong(std::string(key)); }

    /// Remembers the invalid fields in the mapping of a field, as `KEY.INNER`.
    void take_wrong(std::string_view key, const FieldReader& inner);

private:
    [[nodiscard]] bool begins_with_tag(const yaml::YamlNode& node) const;
    std::vector<std::string> list_of_texts(std::string_view key, bool as_written);
};

}  // namespace autoexec::workflow
