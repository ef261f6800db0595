#pragma once

#include <autoexec/session.hpp>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

/// What all examples but the first need: a project that is removed at the end. A worktree is any
/// folder; it need not be in git.
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

    /// For a session in this project. It has no agents file, so commands go to a shell.
    autoexec::SessionOptions options() const
    {
        autoexec::SessionOptions options;
        options.executor.project_root = root_;
        return options;
    }

private:
    std::filesystem::path root_;
};
