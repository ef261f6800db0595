#pragma once

#include <boost/json/object.hpp>

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::cli {

/// The text of `--format`: `{key}` becomes a value of a result, `{usage.cost_usd}` one within it.
/// `{{` and `}}` are braces, `\t` and `\n` a tab and a line end.
class ResultTemplate {
public:
    /// Throws `Failure` if it is malformed.
    explicit ResultTemplate(std::string_view text);

    /// One line. Absent values and null are empty; control characters are shown as text.
    std::string fill(const boost::json::object& result);

    /// Keys that no result had, of those that were filled in. Empty before the first.
    [[nodiscard]] std::vector<std::string> missing() const;
    /// The keys that results had.
    [[nodiscard]] const std::set<std::string>& known() const noexcept { return known_; }

private:
    struct Part {
        std::string text;
        bool is_key = false;
    };

    std::vector<Part> parts_;
    std::set<std::string> known_;
    std::set<std::string> found_;
};

}  // namespace autoexec::cli
