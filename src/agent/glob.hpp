#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::agent {

/// A pattern over relative paths: `*` and `?` (not over `/`), `[a-z]`, `[!a-z]`, and `**` for any
/// number of folders, none included. A leading dot is nothing special. Immutable.
class Glob {
public:
    /// Nothing if the pattern is empty, absolute, leads out by `..`, is longer than a path can be
    /// or has a `[` without end; `problem` says which.
    static std::optional<Glob> compile(std::string_view pattern, std::string& problem);

    /// Takes time proportional to the product of both lengths at most, whatever the pattern.
    [[nodiscard]] bool matches(std::string_view path) const;

    /// Whether a path below `folder` could match: lets a walk leave out what can't.
    [[nodiscard]] bool may_match_below(std::string_view folder) const;

private:
    std::vector<std::string> segments_;
};

}  // namespace autoexec::agent
