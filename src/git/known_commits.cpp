#include "git/known_commits.hpp"

#include <set>
#include <utility>

namespace autoexec::git {

void KnownCommits::add(const std::string& id, std::string tree, std::vector<std::string> parents)
{
    if (commits_.size() == max_known && !commits_.contains(id)) commits_.clear();
    auto& facts = commits_[id];
    if (!tree.empty()) facts.tree = std::move(tree);
    if (!parents.empty()) facts.parents = std::move(parents);
}

std::string KnownCommits::tree_of(const std::string& id) const
{
    const auto found = commits_.find(id);
    return found != commits_.end() ? found->second.tree : std::string();
}

bool KnownCommits::descends(const std::string& id, std::string_view ancestor) const
{
    std::set<std::string_view> seen{id};
    std::vector<std::string_view> next{id};
    while (!next.empty()) {
        const auto one = next.back();
        next.pop_back();
        if (one == ancestor) return true;
        const auto found = commits_.find(std::string(one));
        if (found == commits_.end()) continue;
        for (const auto& parent : found->second.parents)
            if (seen.insert(parent).second) next.push_back(parent);
    }
    return false;
}

void KnownCommits::set_plain(const std::string& id)
{
    if (const auto found = commits_.find(id); found != commits_.end()) found->second.plain = true;
}

bool KnownCommits::is_plain(const std::string& id) const
{
    const auto found = commits_.find(id);
    return found != commits_.end() && found->second.plain;
}

}  // namespace autoexec::git
