#include "files/safe_files.hpp"
#include "process/control.hpp"
#include "process/run_program.hpp"
#include "process/supervised_process.hpp"
#include "process/supervisor_file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {
namespace {

using files::UniqueFd;

constexpr std::chrono::milliseconds min_grace{0};
constexpr std::chrono::milliseconds max_grace = std::chrono::hours{24};

std::chrono::milliseconds clamped(std::chrono::milliseconds grace)
{
    return std::clamp(grace, min_grace, max_grace);
}

error_code check(const ProcessSpec& spec, std::string& why)
{
    const auto fails = [&why](std::string reason) {
        why = std::move(reason);
        return make_error_code(boost::system::errc::invalid_argument);
    };
    if (spec.held.size() > control::max_held)
        return fails("Too many descriptors must be kept open.");
    if (spec.interactive && !spec.input.empty())
        return fails("An interactive program gets its input while it runs.");
    if (spec.argv.empty()) return fails("No program was specified.");
    if (spec.argv.front().empty()) return fails("The program's name is empty.");
    for (const auto& variable : spec.environment)
        if (variable.find('\0') != variable.npos)
            return fails("An environment variable contains a NUL character.");
    return process::check_arguments(spec.argv, why);
}

// The host process may have closed its standard descriptors, so a new descriptor may have a number
// below 3. A descriptor that is copied to a fixed number in the child must not already have such a
// number, or the copies overwrite each other.
UniqueFd copy_above_fixed(int fd)
{
    return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, control::first_free));
}

/// The supervisor's ends.
struct ChildEnds {
    UniqueFd output;
    UniqueFd error;
    UniqueFd control;
    UniqueFd input;  ///< None: no input.
    std::vector<UniqueFd> held;
};

// Of the descriptors, the first becomes ours by `assign`.
template <class Assign>
error_code keep_ends(const int (&fds)[2], UniqueFd& theirs, Assign assign)
{
    const UniqueFd original(fds[1]);
    theirs = copy_above_fixed(fds[1]);
    error_code ec = theirs ? error_code{} : files::last_error();
    if (!ec) assign(fds[0], ec);
    if (ec) ::close(fds[0]);
    return ec;
}

// For a socket or a pipe.
error_code open_ends(bool socket, asio::posix::stream_descriptor& ours, UniqueFd& theirs)
{
    int fds[2];
    if ((socket ? ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)
                : ::pipe2(fds, O_CLOEXEC)) != 0)
        return files::last_error();
    return keep_ends(fds, theirs, [&](int fd, error_code& ec) { ours.assign(fd, ec); });
}

error_code open_input(asio::posix::stream_descriptor& ours, UniqueFd& theirs)
{
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return files::last_error();
    return keep_ends(fds, theirs, [&](int fd, error_code& ec) { ours.assign(fd, ec); });
}

// A file in memory instead of a pipe: nobody must write while the program reads, however long the
// text is. The program cannot change it.
error_code make_input(const std::string& text, UniqueFd& input)
{
    const UniqueFd file(::memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file) return files::last_error();
    if (const auto ec = files::write_all(file.get(), text)) return ec;
    constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    if (::lseek(file.get(), 0, SEEK_SET) != 0 || ::fcntl(file.get(), F_ADD_SEALS, seals) != 0)
        return files::last_error();
    input = copy_above_fixed(file.get());
    return input ? error_code{} : files::last_error();
}

error_code connect(SupervisorLink& link, ChildEnds& ends, const ProcessSpec& spec)
{
    auto ec = open_ends(false, link.output, ends.output);
    if (!ec) ec = open_ends(false, link.error, ends.error);
    if (!ec) ec = open_ends(true, link.control, ends.control);
    if (!ec && spec.interactive) ec = open_input(link.input, ends.input);
    if (!ec && !spec.input.empty()) ec = make_input(spec.input, ends.input);
    for (const int fd : spec.held) {
        ends.held.push_back(copy_above_fixed(fd));
        if (!ec && !ends.held.back()) ec = files::last_error();
    }
    return ec;
}

/// The actions of the child between fork and exec.
class ChildSetup {
public:
    /// `program`: none if it is -1.
    ChildSetup(int directory, const ChildEnds& ends, int program)
    {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawn_file_actions_addfchdir_np(&actions_, directory);
        if (ends.input)
            ::posix_spawn_file_actions_adddup2(&actions_, ends.input.get(), STDIN_FILENO);
        else
            ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions_, ends.output.get(), STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, ends.error.get(), STDERR_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, ends.control.get(), control::descriptor);
        int next = control::first_held;
        for (const auto& fd : ends.held)
            ::posix_spawn_file_actions_adddup2(&actions_, fd.get(), next++);
        if (program >= 0) {
            program_path_ = fmt::format("/proc/self/fd/{}", next);
            ::posix_spawn_file_actions_adddup2(&actions_, program, next++);
        }
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, next);

        // The program gets default signal actions, as from a shell, even if the host ignores
        // signals. All signals stay blocked until the supervisor has installed its handling.
        sigset_t all;
        ::sigfillset(&all);
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setsigmask(&attributes_, &all);
        ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    }
    ~ChildSetup()
    {
        ::posix_spawnattr_destroy(&attributes_);
        ::posix_spawn_file_actions_destroy(&actions_);
    }
    ChildSetup(const ChildSetup&) = delete;
    ChildSetup& operator=(const ChildSetup&) = delete;

    const posix_spawn_file_actions_t* actions() const { return &actions_; }
    const posix_spawnattr_t* attributes() const { return &attributes_; }
    /// Path of `program` in the child.
    const std::string& program_path() const { return program_path_; }

private:
    std::string program_path_;
    posix_spawn_file_actions_t actions_;
    posix_spawnattr_t attributes_;
};

// posix_spawn's signature requires the const_cast; the strings are not changed.
std::vector<char*> pointers(const std::vector<std::string>& strings)
{
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (const auto& s : strings) result.push_back(const_cast<char*>(s.c_str()));
    result.push_back(nullptr);
    return result;
}

std::vector<std::string> supervisor_arguments(const SupervisorLink& link, const ProcessSpec& spec,
                                              std::optional<std::uint64_t> max_open_files)
{
    std::vector<std::string> arguments{
        process::supervisor_name,
        control::version,
        std::to_string(::getpid()),
        std::to_string(link.stop_grace.count()),
        std::to_string(clamped(spec.orphan_grace).count()),
        max_open_files ? std::to_string(*max_open_files) : control::inherited_limit,
        "--"};
    arguments.insert(arguments.end(), spec.argv.begin(), spec.argv.end());
    return arguments;
}

error_code explain_failure(int error, const std::string& supervisor, std::string& why)
{
    const error_code code(error, boost::system::system_category());
    if (error == E2BIG) {
        why =
            "The arguments and the environment exceed the system's limit. Pass {command_file_path} "
            "and let the program read the file.";
        return code;
    }
    why = fmt::format("Cannot start the supervisor {}: {}.", supervisor, code.message());
    return error == ENOENT || error == EACCES || error == ENOEXEC ? errc::supervisor_unavailable
                                                                  : code;
}

class SupervisedSpawner final : public Spawner {
public:
    SupervisedSpawner(process::SupervisorFile supervisor,
                      std::optional<std::uint64_t> max_open_files)
        : supervisor_(std::move(supervisor)), max_open_files_(max_open_files)
    {}

    std::unique_ptr<Process> spawn(const asio::any_io_executor& ex, const ProcessSpec& spec,
                                   error_code& ec, std::string& why) override
    {
        const auto fails = [&](error_code code, std::string reason) {
            ec = code;
            why = std::move(reason);
            return nullptr;
        };
        why.clear();
        ec = check(spec, why);
        if (ec) return nullptr;
        if (supervisor_.path.empty())
            return fails(errc::supervisor_unavailable, supervisor_.problem);
        const UniqueFd directory(::open(spec.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        ec = directory ? error_code{} : files::last_error();
        if (ec)
            return fails(ec, fmt::format("Cannot use the working directory {}: {}.",
                                         spec.directory.string(), ec.message()));
        SupervisorLink link{0,
                            spec.argv[0],
                            clamped(spec.stop_grace),
                            asio::posix::stream_descriptor(ex),
                            asio::posix::stream_descriptor(ex),
                            asio::posix::stream_descriptor(ex),
                            asio::posix::stream_descriptor(ex)};
        ChildEnds ends;
        ec = connect(link, ends, spec);
        if (ec)
            return fails(
                ec, fmt::format("Cannot open pipes for \"{}\": {}.", spec.argv[0], ec.message()));
        if (const int error = start_supervisor(link, spec, directory.get(), ends); error != 0) {
            ec = explain_failure(error, supervisor_.path.string(), why);
            return nullptr;
        }
        return make_supervised_process(std::move(link));
    }

private:
    // Started by its descriptor; by its path if it did not exist before, or without /proc.
    int start_supervisor(SupervisorLink& link, const ProcessSpec& spec, int directory,
                         const ChildEnds& ends) const
    {
        const auto arguments = supervisor_arguments(link, spec, max_open_files_);
        if (supervisor_.file) {
            const ChildSetup setup(directory, ends, supervisor_.file.get());
            const int error = execute(link.pid, setup.program_path(), setup, arguments, spec);
            if (error != ENOENT) return error;
        }
        const ChildSetup setup(directory, ends, -1);
        return execute(link.pid, supervisor_.path.string(), setup, arguments, spec);
    }

    static int execute(pid_t& pid, const std::string& program, const ChildSetup& setup,
                       const std::vector<std::string>& arguments, const ProcessSpec& spec)
    {
        return ::posix_spawn(&pid, program.c_str(), setup.actions(), setup.attributes(),
                             pointers(arguments).data(), pointers(spec.environment).data());
    }

    const process::SupervisorFile supervisor_;
    const std::optional<std::uint64_t> max_open_files_;
};

}  // namespace

std::shared_ptr<Spawner> supervised_spawner(std::filesystem::path supervisor,
                                            std::optional<std::uint64_t> max_open_files)
{
    return std::make_shared<SupervisedSpawner>(
        supervisor.empty() ? process::find_supervisor()
                           : process::open_supervisor(std::filesystem::absolute(supervisor)),
        max_open_files);
}

}  // namespace autoexec::inline v1
