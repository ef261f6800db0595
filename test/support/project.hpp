#pragma once

#include "support/program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/object.hpp>

#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

inline const std::string program_path = AUTOEXEC_BINARY_DIR "/autoexec";

/// Each line must be one JSON object.
std::vector<boost::json::object> objects_of(const std::string& text);

std::string text_at(const boost::json::object& object, std::string_view key);

/// A git repository to run the program in. All that is started from it carries a mark in its
/// environment. However a test ends, nothing must be left: no process, no file of a command, no
/// claim and no lock; the destructor looks.
class Project {
public:
    Project();
    ~Project();
    Project(const Project&) = delete;
    Project& operator=(const Project&) = delete;

    [[nodiscard]] fs::path root() const { return folder_ / "project"; }
    [[nodiscard]] fs::path records() const { return root() / ".tapps-agents"; }

    /// For all that is started from now on.
    void set(const std::string& name, const std::string& value) { environment_[name] = value; }
    void unset(const std::string& name) { environment_.erase(name); }

    void write(const fs::path& path, std::string_view text) const;

    /// Names that the tests' workflows give as agents, besides those of agents.
    static constexpr std::string_view roles =
        "roles: {a: ~, b: ~, c: ~, d: ~, r: ~, x: ~, writer: ~, reader: ~, looks: ~}\n";

    /// Adds an agent to the agents file; `more` are further fields, each `name: value`.
    void add_agent(const std::string& name, const std::string& command, const Words& more = {});

    std::string git(const Words& words) const { return git_in(root(), words); }
    std::string git_in(const fs::path& folder, const Words& words) const;
    void commit(const std::string& message) const;

    /// A worktree beside the project, on a branch of its own.
    fs::path worktree(const std::string& name);

    /// `words` follow the program's name.
    [[nodiscard]] Start start(Words words) const;
    /// The same without the rights of root: as a user who owns the project, and who may be unable
    /// to reach the build folder.
    [[nodiscard]] Start start_unprivileged(Words words) const;
    Ended run(Words words, std::string input = {}) const;

    /// What runs of all that was started.
    [[nodiscard]] std::vector<pid_t> processes() const;

    /// The lines of all metrics files, and of the audit log.
    [[nodiscard]] std::vector<boost::json::object> metrics() const;
    [[nodiscard]] std::vector<boost::json::object> audit() const;

    /// Waits until as many commands are in flight, each started by its agent, and tells their ids.
    Words wait_for_running(std::size_t count) const;

    /// What our files leave behind in a place where nothing is in flight; empty if nothing.
    [[nodiscard]] std::string leftovers() const;

    [[nodiscard]] std::vector<std::string> environment() const;
    [[nodiscard]] const std::string& mark() const noexcept { return mark_; }

    static Words names_in(const fs::path& folder);
    static std::vector<fs::path> files_in(const fs::path& folder);

private:
    static std::vector<fs::path> folders_in(const fs::path& folder);

    static bool is_locked(const fs::path& folder);

    TemporaryFolder folder_;
    std::string mark_;
    std::map<std::string, std::string> environment_;
    std::vector<fs::path> trees_;
    std::string agents_;
};

}  // namespace autoexec::test
