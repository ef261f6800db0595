#pragma once

#include "support/workflow_project.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace autoexec::test {

/// A project with nothing left to commit, in which each step works in a worktree of its own.
class GitProject : public WorkflowProject {
public:
    void committed_steps(const Words& all)
    {
        steps(all);
        commit("A workflow");
        head_ = rev("HEAD");
    }

    /// The words of a run as a person who says nothing of worktrees types them.
    [[nodiscard]] static Words words(const Words& more = {})
    {
        Words all = {"workflow", "run", "workflow.yaml"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    Ended go(const Words& more = {}) const { return run(words(more)); }
    Ended resume(const Words& more = {}) const
    {
        Words all = {"workflow", "resume"};
        all.insert(all.end(), more.begin(), more.end());
        return run(all);
    }

    [[nodiscard]] std::string branch() const
    {
        return "workflow/" + text_at(newest_run(), "run_id");
    }
    [[nodiscard]] std::string rev(const std::string& name) const
    {
        return git({"rev-parse", "--verify", name});
    }
    [[nodiscard]] std::string shown(const std::string& path, const std::string& in = {}) const
    {
        return git({"show", (in.empty() ? branch() : in) + ":" + path});
    }
    /// Mode, hash and name of each file in a commit. The agents file is not the same in two
    /// projects.
    [[nodiscard]] Words files(const std::string& in = {}) const
    {
        auto lines = lines_of(git({"ls-tree", "-r", in.empty() ? branch() : in}));
        std::erase_if(lines, [](const auto& line) { return contains(line, "\t.cursor/"); });
        return lines;
    }
    [[nodiscard]] std::string listed(const std::string& in = {}) const
    {
        auto names = files(in);
        for (auto& name : names) name.erase(0, name.find('\t') + 1);
        return joined(names);
    }
    [[nodiscard]] bool is_untouched() const
    {
        return git({"status", "--porcelain"}).empty() && rev("HEAD") == head_ &&
               git({"symbolic-ref", "HEAD"}) == "refs/heads/main\n";
    }

    /// The worktree in which a conflict stands, as it is told.
    [[nodiscard]] static fs::path place_of_conflict(const std::string& text)
    {
        constexpr std::string_view before = "Resolve it in '";
        const auto begin = text.find(before);
        REQUIRE_MESSAGE(begin != text.npos, text);
        const auto from = begin + before.size();
        return text.substr(from, text.find('\'', from) - from);
    }

private:
    std::string head_;
};

}  // namespace autoexec::test
