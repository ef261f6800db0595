#include "autoexec/testing/fixtures.hpp"

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"
#include "protocol/command_file.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"
#include "protocol/status.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <utility>

namespace autoexec::inline v1::testing {
namespace {

namespace fs = std::filesystem;

void throw_if(error_code ec, const fs::path& path)
{
    if (ec) throw system_error(ec, path.string());
}

files::UniqueFd open_folder(const fs::path& path)
{
    return files::UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

std::string read_file(const fs::path& worktree, const std::string& name, std::size_t limit)
{
    const auto folder = open_folder(worktree);
    return folder ? files::read_regular(folder.get(), name, limit, {::geteuid()}).text
                  : std::string();
}

}  // namespace

TemporaryProject::TemporaryProject()
{
    std::string pattern = (fs::temp_directory_path() / "autoexec-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw_if(files::last_error(), pattern);
    path_ = fs::canonical(pattern);
}

TemporaryProject::~TemporaryProject()
{
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

fs::path TemporaryProject::make_worktree(std::string_view name) const
{
    auto worktree = path_ / name;
    fs::create_directories(worktree);
    return worktree;
}

void TemporaryProject::write_config(std::string_view yaml) const
{
    write_file(path_, layout::configuration, yaml);
}

void TemporaryProject::write_agents(std::string_view yaml) const
{
    write_file(path_, layout::agents_file, yaml);
}

void write_file(const fs::path& folder, const fs::path& path, std::string_view text)
{
    const auto root = open_folder(folder);
    error_code ec = root ? error_code{} : files::last_error();
    if (!ec && !path.has_filename()) ec = make_error_code(boost::system::errc::is_a_directory);
    throw_if(ec, folder / path);
    const auto parent = files::make_folders(root.get(), path.parent_path(), ec);
    if (parent)
        ec = files::replace_file(parent.get(), path.filename().string(), text, 0644,
                                 Durability::none);
    throw_if(ec, folder / path);
}

void write_command_file(const MockCommand& command)
{
    protocol::CommandFile file;
    file.command = command.command;
    file.argv = command.argv;
    file.env_refs = command.env_refs;
    file.env = command.env;
    file.expected_artifacts = command.expected_artifacts;
    file.agent = command.agent;
    file.ids() = command.ids();
    file.worktree_path = command.worktree.string();
    file.created_at = std::chrono::system_clock::now();
    write_file(command.worktree, control_files::command, protocol::format_command(file));
}

std::optional<MockCommand> read_command_file(const fs::path& worktree)
{
    std::string problem;
    auto file = protocol::parse_command(
        read_file(worktree, control_files::command, protocol::command_file_limit), problem);
    if (!file) return std::nullopt;
    MockCommand command;
    command.worktree = worktree;
    command.command = std::move(file->command);
    command.argv = std::move(file->argv);
    command.env_refs = std::move(file->env_refs);
    command.env = std::move(file->env);
    command.expected_artifacts = std::move(file->expected_artifacts);
    command.agent = std::move(file->agent);
    command.ids() = file->ids();
    return command;
}

void write_status_file(const fs::path& worktree, const AgentStatus& status, const std::string& name)
{
    write_file(worktree, name, protocol::format_status(status));
}

std::optional<AgentStatus> read_status_file(const fs::path& worktree, const std::string& name)
{
    auto reading =
        protocol::parse_status(read_file(worktree, name, protocol::default_status_limit));
    if (reading.kind != protocol::StatusReading::Kind::valid) return std::nullopt;
    return std::move(reading.status);
}

}  // namespace autoexec::inline v1::testing
