#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace autoexec::test {

/// The keywords of JSON Schema that `doc/json-output.schema.json` uses. An unknown keyword fails
/// the test, so that none is ignored.
class JsonSchema {
public:
    explicit JsonSchema(std::string_view text);

    /// What is wrong with a value, with its path; empty if it matches `$defs/NAME`.
    [[nodiscard]] std::string problem(std::string_view name, const boost::json::value& value) const;

private:
    [[nodiscard]] std::string check(const boost::json::object& schema,
                                    const boost::json::value& value, const std::string& path) const;
    [[nodiscard]] std::string check_object(const boost::json::object& schema,
                                           const boost::json::object& value,
                                           const std::string& path) const;
    [[nodiscard]] const boost::json::object& definition(std::string_view name) const;

    boost::json::value root_;
};

}  // namespace autoexec::test
