#include "support/project.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <utility>

namespace autoexec::test {

std::vector<boost::json::object> objects_of(const std::string& text)
{
    std::vector<boost::json::object> objects;
    for (const auto& line : lines_of(text)) {
        boost::system::error_code ec;
        auto value = boost::json::parse(line, ec);
        REQUIRE_MESSAGE(!ec, line);
        REQUIRE_MESSAGE(value.is_object(), line);
        objects.push_back(std::move(value.get_object()));
    }
    return objects;
}

std::string text_at(const boost::json::object& object, std::string_view key)
{
    const auto* const value = object.if_contains(key);
    REQUIRE_MESSAGE(value != nullptr, key);
    return value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value);
}

Project::Project()
{
    std::random_device device;
    mark_ = std::to_string(device()) + std::to_string(device());
    for (const auto* name : {"PATH", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"})
        if (const char* const value = std::getenv(name)) set(name, value);
    set("TEST_MARK", mark_);  // not AUTOEXEC_…: the program reports those that it does not know
    set("HOME", folder_.path().string());
    set("TERM", "xterm");
    set("GIT_CONFIG_NOSYSTEM", "1");
    for (const auto* role : {"AUTHOR", "COMMITTER"}) {
        set(std::string("GIT_") + role + "_NAME", "A Person");
        set(std::string("GIT_") + role + "_EMAIL", "person@example.org");
    }
    fs::create_directory(root());
    git({"init", "-q", "-b", "main", "."});
    write("file", "one\n");
    commit("one");
    git({"tag", "v1"});
    write("file", "two\n");
    commit("two");
}

Project::~Project()
{
    const bool quiet = eventually([this] { return processes().empty(); });
    CHECK_MESSAGE(quiet, "a process has survived");
    for (const pid_t pid : processes()) ::kill(pid, SIGKILL);
    const auto left = leftovers();
    CHECK_MESSAGE(left.empty(), left);
}

void Project::write(const fs::path& path, std::string_view text) const
{
    write_file(root() / path, text);
}

void Project::add_agent(const std::string& name, const std::string& command, const Words& more)
{
    if (agents_.empty()) agents_ = "agents:\n";
    agents_ +=
        "  - name: " + name + "\n    type: background\n    commands: [\"" + command + "\"]\n";
    for (const auto& field : more) agents_ += "    " + field + "\n";
    write(".cursor/background-agents.yaml", std::string(roles) + agents_);
}

std::string Project::git_in(const fs::path& folder, const Words& words) const
{
    Words argv = {"git"};
    argv.insert(argv.end(), words.begin(), words.end());
    Program program(Start{std::move(argv), folder, environment()});
    const auto ended = program.wait();
    REQUIRE_MESSAGE(ended.code == 0, ended.err);
    return ended.out;
}

void Project::commit(const std::string& message) const
{
    git({"add", "-A"});
    git({"commit", "-q", "-m", message});
}

fs::path Project::worktree(const std::string& name)
{
    auto path = folder_ / name;
    git({"worktree", "add", "-q", "-b", name, path.string()});
    trees_.push_back(path);
    return path;
}

Start Project::start(Words words) const
{
    words.insert(words.begin(), program_path);
    return Start{std::move(words), root(), environment()};
}

Start Project::start_unprivileged(Words words) const
{
    auto wanted = start(std::move(words));
    if (::geteuid() != 0) return wanted;
    constexpr unsigned nobody = 65534;
    const auto programs = folder_ / "programs";
    fs::create_directory(programs);
    for (const auto* name : {"autoexec", "autoexec-supervise"})
        fs::copy_file(fs::path(program_path).replace_filename(name), programs / name);
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
        (void)!::lchown(entry.path().c_str(), nobody, nobody);
    (void)!::chown(folder_.path().c_str(), nobody, nobody);
    wanted.argv.front() = programs / "autoexec";
    wanted.argv.insert(wanted.argv.begin(),
                       {"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"});
    return wanted;
}

Ended Project::run(Words words, std::string input) const
{
    auto wanted = start(std::move(words));
    wanted.input = std::move(input);
    Program program(wanted);
    return program.wait();
}

std::vector<pid_t> Project::processes() const
{
    std::vector<pid_t> found;
    std::error_code ec;
    for (fs::directory_iterator at("/proc", ec), end; at != end; at.increment(ec)) {
        const pid_t pid = std::atoi(at->path().filename().c_str());
        if (pid > 0 && contains(read_file(at->path() / "environ"), mark_)) found.push_back(pid);
    }
    return found;
}

std::vector<boost::json::object> Project::metrics() const
{
    std::string text;
    for (const auto& file : files_in(records() / "metrics"))
        if (file.filename().string().starts_with("executions_")) text += read_file(file);
    return objects_of(text);
}

std::vector<boost::json::object> Project::audit() const
{
    std::string text;
    for (auto line : lines_of(read_file(records() / "audit/execution_audit.log")))
        text += line.substr(std::min(line.find('{'), line.size())) + "\n";
    return objects_of(text);
}

Words Project::wait_for_running(std::size_t count) const
{
    Words ids;
    const bool running = eventually([&] {
        ids.clear();
        for (const auto& entry : objects_of(run({"status", "--json"}).out))
            if (text_at(entry, "state") == "running") ids.push_back(text_at(entry, "execution_id"));
        return ids.size() == count;
    });
    REQUIRE(running);
    return ids;
}

std::string Project::leftovers() const
{
    std::string found;
    auto trees = trees_;
    trees.push_back(root());
    for (const auto& tree : folders_in(records() / "worktrees")) trees.push_back(tree);
    for (const auto& tree : trees) {
        for (const auto& place : {tree, tree / ".cursor"})
            for (const auto& name : names_in(place))
                if (name.starts_with(".cursor-skill")) found += (place / name).string() + "\n";
        if (is_locked(tree)) found += tree.string() + " is locked\n";
    }
    std::vector<fs::path> git_dirs = folders_in(root() / ".git/worktrees");
    git_dirs.push_back(root() / ".git");
    for (const auto& folder : git_dirs)
        for (const auto& file : files_in(folder / "autoexec/claims"))
            if (file.filename() != ".lock") found += file.string() + "\n";
    for (const auto& name : names_in(records() / "running")) found += "running/" + name + "\n";
    for (const auto& name : names_in(records() / "output"))
        if (!name.ends_with(".log")) found += "output/" + name + "\n";
    return found;
}

std::vector<std::string> Project::environment() const
{
    std::vector<std::string> all;
    for (const auto& [name, value] : environment_) all.push_back(name + "=" + value);
    return all;
}

Words Project::names_in(const fs::path& folder)
{
    Words names;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(folder, ec))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<fs::path> Project::files_in(const fs::path& folder)
{
    std::vector<fs::path> files;
    for (const auto& name : names_in(folder))
        if (fs::is_regular_file(fs::symlink_status(folder / name))) files.push_back(folder / name);
    return files;
}

std::vector<fs::path> Project::folders_in(const fs::path& folder)
{
    std::vector<fs::path> folders;
    for (const auto& name : names_in(folder))
        if (fs::is_directory(folder / name)) folders.push_back(folder / name);
    return folders;
}

bool Project::is_locked(const fs::path& folder)
{
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool locked = fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0) ::close(fd);
    return locked;
}

}  // namespace autoexec::test
