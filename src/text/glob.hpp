#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace autoexec::text {

/// A pattern for relative paths: `*` and `?` (not matching `/`), `[a-z]`, `[!a-z]`, and `**` for
/// zero or more folders. A leading dot is not special. Immutable.
class Glob {
public:
    /// Returns nullopt, and sets `problem`, if the pattern is empty, absolute, leaves the project
    /// by `..`, is longer than a path can be, or has an unclosed `[`.
    static std::optional<Glob> compile(std::string_view pattern, std::string& problem);

    /// Time is at most proportional to the product of both lengths.
    [[nodiscard]] bool matches(std::string_view path) const;

    /// True if a path below `folder` could match; a walk skips other folders.
    [[nodiscard]] bool may_match_below(std::string_view folder) const;

private:
    std::vector<std::shared_ptr<const re2::RE2>> segments_;  // null: `**`
};

}  // namespace autoexec::text
