#pragma once

#include "autoexec/agent.hpp"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

/// What all examples but the first need: folders that are removed at the end, and an agent.
/// A worktree is any folder; it need not be in git.
class Scratch {
public:
    Scratch()
    {
        auto name = (std::filesystem::temp_directory_path() / "autoexec.XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
        root_ = name;
    }
    ~Scratch()
    {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    const std::filesystem::path& root() const { return root_; }

    std::filesystem::path worktree(const std::string& name) const
    {
        std::filesystem::create_directory(root_ / name);
        return root_ / name;
    }

    /// An agent that gives the text of a command to a shell.
    autoexec::AgentOptions shell_agent(std::shared_ptr<autoexec::Notifier> notifier) const
    {
        autoexec::AgentDefinition shell;
        shell.name = "shell";
        shell.templates.push_back({{{"/bin/sh"}, {"-c"}, {autoexec::Placeholder::command}}});
        autoexec::AgentOptions options;
        options.project_root = root_;
        options.agents.agents.push_back(shell);
        options.find_worktrees = false;
        options.notifier = std::move(notifier);
        return options;
    }

private:
    std::filesystem::path root_;
};
