#pragma once

#include "git/gate.hpp"
#include "process/run_program.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

using Words = std::vector<std::string>;
using process::ProgramOutput;

/// Where a call of git works. Git is always told and never looks for itself: an agent may have put
/// another `.git` into a tree, or taken it away, and the next one above is the user's own.
struct Place {
    Place() = default;
    Place(std::filesystem::path directory, std::filesystem::path tree)
        : git_dir(std::move(directory)), work_tree(std::move(tree))
    {}

    std::filesystem::path git_dir;    ///< Empty: git looks for it from `work_tree` on.
    std::filesystem::path work_tree;  ///< Empty: none is needed.
    std::filesystem::path index;      ///< Empty: the tree's own.
    std::string date;                 ///< Of commits, as git reads it; empty: now.

    [[nodiscard]] Place with_index(std::filesystem::path file) const
    {
        auto place = *this;
        place.index = std::move(file);
        return place;
    }
};

/// Runs git: with no prompt, editor, hook, signature or automatic clean-up, in English, below the
/// supervisor. Many calls at once take turns: each costs a few descriptors. Thread safety: none;
/// one strand. Must outlive what it runs.
class Git {
public:
    Git(std::shared_ptr<Spawner> spawner, std::shared_ptr<Clock> clock);

    template <class... Text>
    asio::awaitable<ProgramOutput> operator()(const Place& place, const Text&... words) const
    {
        return run(place, Words{std::string(words)...});
    }
    /// `lock`: a descriptor that is held as long as git runs, even if we die.
    [[nodiscard]] asio::awaitable<ProgramOutput> run(const Place& place, Words words,
                                                     std::optional<int> lock = std::nullopt) const;

    /// Another program, in its turn.
    [[nodiscard]] asio::awaitable<ProgramOutput> run_other(const std::filesystem::path& folder,
                                                           Words argv) const;

    /// Another descriptor that each call holds from now on.
    void hold(int lock) { held_.assign(1, lock); }

    /// Who commits from now on, whatever is configured.
    void set_identity(std::string_view name, std::string_view email);

private:
    [[nodiscard]] asio::awaitable<ProgramOutput> in_turn(ProcessSpec spec) const;

    std::shared_ptr<Spawner> spawner_;
    std::shared_ptr<Gate> gate_;
    std::vector<std::string> identity_;
    std::vector<int> held_;
};

/// Standard output without the newline at its end.
std::string line_of(const ProgramOutput& output);

/// Why it did not work, for a person, on one line.
std::string reason_of(const ProgramOutput& output);

/// The parts of a list in which NUL ends each.
std::vector<std::string_view> split_nul(std::string_view text);

/// A full object id.
bool is_object_id(std::string_view text);

/// For messages: a name or path from outside.
std::string shown(std::string_view text);

}  // namespace autoexec::git
