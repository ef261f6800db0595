#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

/// Facts about commits, which never change. The number of commits is bounded: git can be asked
/// again for a fact that is forgotten. Thread safety: none.
class KnownCommits {
public:
    /// Adds a commit of the repository. Empty arguments: unknown, or, for `parents`, none.
    void add(const std::string& id, std::string tree = {}, std::vector<std::string> parents = {});

    [[nodiscard]] bool contains(const std::string& id) const { return commits_.contains(id); }
    /// Empty: unknown.
    [[nodiscard]] std::string tree_of(const std::string& id) const;
    /// True if `ancestor` is the commit or is reached from it by known parents. False: unknown.
    [[nodiscard]] bool descends(const std::string& id, std::string_view ancestor) const;

    /// Records that a known commit has no file `.gitattributes`.
    void set_plain(const std::string& id);
    /// False: it may have one.
    [[nodiscard]] bool is_plain(const std::string& id) const;

private:
    struct Facts {
        std::string tree;
        std::vector<std::string> parents;
        bool plain = false;
    };
    static constexpr std::size_t max_known = 10'000;

    std::map<std::string, Facts> commits_;
};

}  // namespace autoexec::git
