#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "process/run_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <utility>

namespace autoexec::health {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::size_t max_output = 4096;
constexpr milliseconds grace{500};  // a program that missed its limit gets only a short grace
constexpr milliseconds time_limit{1000};

// NFS, SMB1, CIFS, SMB2, 9p, FUSE, CEPH, AFS, Coda
constexpr std::array<std::uint32_t, 9> remote_types = {0x6969,     0x517B,     0xFF534D42,
                                                       0xFE534D42, 0x01021997, 0x65735546,
                                                       0x00C36400, 0x5346414F, 0x73757245};

std::optional<HealthProbes::FileSystem> probe_file_system(const fs::path& path)
{
    struct statfs info {};
    struct stat st {};
    if (::statfs(path.c_str(), &info) != 0 || ::stat(path.c_str(), &st) != 0) return std::nullopt;
    HealthProbes::FileSystem found;
    found.device = st.st_dev;
    found.free_bytes =
        static_cast<std::uint64_t>(info.f_bavail) * static_cast<std::uint64_t>(info.f_bsize);
    found.free_inodes = info.f_ffree;
    found.total_inodes = info.f_files;
    const auto type = static_cast<std::uint32_t>(info.f_type);
    found.remote = std::find(remote_types.begin(), remote_types.end(), type) != remote_types.end();
    return found;
}

std::optional<std::uint64_t> read_inotify_limit(const std::string& name)
{
    std::ifstream in(fs::path("/proc/sys/fs/inotify") / name);
    std::uint64_t limit = 0;
    return in >> limit ? std::optional(limit) : std::nullopt;
}

std::optional<std::chrono::system_clock::time_point> probe_file_time(const fs::path& folder)
{
    error_code ec;
    const auto fd = open_folder(folder, ec);
    if (!fd) return std::nullopt;
    const auto trial = try_to_write(fd.get());
    return trial.error ? std::nullopt : std::optional(trial.time);
}

std::string read_variable(const std::string& name)
{
    const char* const value = std::getenv(name.c_str());
    return value == nullptr ? "" : value;
}

void append_capped(std::string& text, std::string_view chunk)
{
    text.append(chunk.substr(0, max_output - std::min(max_output, text.size())));
}

HealthProbes::ProgramRun run_supervised(Spawner& spawner, const std::vector<std::string>& argv,
                                        const fs::path& directory, milliseconds limit)
{
    HealthProbes::ProgramRun run;
    ProcessSpec spec;
    spec.argv = argv;
    spec.directory = directory;
    spec.environment = process::inherited_environment();
    spec.stop_grace = grace;

    std::string errors;
    std::optional<ProcessExit> end;
    asio::io_context ctx;
    const auto process = spawner.spawn(ctx.get_executor(), spec, run.error, run.problem);
    if (!process) return run;
    std::function<void(OutputStream, std::string_view)> append = [&](OutputStream stream,
                                                                     std::string_view chunk) {
        append_capped(stream == OutputStream::standard_output ? run.output : errors, chunk);
    };
    asio::co_spawn(ctx, process->wait(std::move(append)),
                   [&end](const std::exception_ptr&, ProcessExit exit) { end = std::move(exit); });
    ctx.run_for(limit);
    if (!end) {
        run.timed_out = true;
        process->stop();
        ctx.run_for(grace + time_limit);
    }
    run.output += errors;
    if (!end) return run;  // unkillable: left to its supervisor
    run.exit_code = end->exit_code;
    run.problem = end->error;
    return run;
}

}  // namespace

HealthProbes real_where_empty(HealthProbes probes, std::shared_ptr<Spawner> spawner)
{
    if (!probes.file_system) probes.file_system = probe_file_system;
    if (!probes.inotify_limit) probes.inotify_limit = read_inotify_limit;
    if (!probes.now) probes.now = [] { return std::chrono::system_clock::now(); };
    if (!probes.file_time) probes.file_time = probe_file_time;
    if (!probes.variable) probes.variable = read_variable;
    if (!spawner) spawner = supervised_spawner();
    if (!probes.run)
        probes.run = [spawner = std::move(spawner)](const auto& argv, const fs::path& directory,
                                                    milliseconds limit) {
            return run_supervised(*spawner, argv, directory, limit);
        };
    return probes;
}

}  // namespace autoexec::health
