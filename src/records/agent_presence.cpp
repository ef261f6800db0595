#include "records/agent_presence.hpp"

#include "files/file_lock.hpp"
#include "protocol/layout.hpp"
#include "records/locked_file.hpp"
#include "records/log_file.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace autoexec::records {
namespace {

using files::UniqueFd;

Folder agents_folder(const std::filesystem::path& project_root)
{
    return {project_root, layout::agents};
}

// An empty folder would only slow down scans for running attempts.
void remove_folder_if_empty(int folder)
{
    const UniqueFd parent(::openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent) (void)::unlinkat(parent.get(), "agents", AT_REMOVEDIR);
}

void sweep(int folder)
{
    sweep_temporaries(folder);
    for_each_locked(folder, protocol::agent_limit,
                    [folder](const std::string& name, const FoundFile& file, bool alive) {
                        if (!alive && file.state == FoundFile::State::present)
                            (void)files::remove_file(folder, name);
                    });
}

}  // namespace

AgentPresence::AgentPresence(UniqueFd folder, UniqueFd file, std::string name)
    : folder_(std::move(folder)), file_(std::move(file)), name_(std::move(name))
{}

std::optional<AgentPresence> AgentPresence::create(const std::filesystem::path& project_root,
                                                   const protocol::AgentRecord& record,
                                                   error_code& ec)
{
    auto name = locked_name(record.agent_id);
    // Tried twice: an agent that ends removes the empty folder.
    for (int tries = 0; tries < 2; ++tries) {
        auto folder = agents_folder(project_root).create(ec);
        if (ec) break;
        sweep(folder.get());
        auto file =
            create_locked(folder.get(), name, record.agent_id, protocol::format_agent(record), ec);
        if (!ec) return AgentPresence(std::move(folder), std::move(file), std::move(name));
        if (ec != boost::system::errc::no_such_file_or_directory) break;
    }
    return std::nullopt;
}

void AgentPresence::remove()
{
    (void)files::remove_file(folder_.get(), name_);
    file_ = UniqueFd();
    remove_folder_if_empty(folder_.get());
}

bool AgentPresence::is_removed() const
{
    return files::is_removed(file_.get());
}

std::vector<AgentEntry> list_agents(const std::filesystem::path& project_root)
{
    std::vector<AgentEntry> entries;
    error_code ec;
    const auto folder = agents_folder(project_root).open(ec);
    if (!folder) return entries;
    for_each_locked(folder.get(), protocol::agent_limit,
                    [&](const std::string&, const FoundFile& file, bool alive) {
                        if (auto record = protocol::parse_agent(file.text))
                            entries.push_back({*std::move(record), alive});
                    });
    std::sort(entries.begin(), entries.end(), [](const AgentEntry& a, const AgentEntry& b) {
        return a.record.started_at < b.record.started_at;
    });
    return entries;
}

void sweep_agents(const std::filesystem::path& project_root)
{
    error_code ec;
    const auto folder = agents_folder(project_root).open(ec);
    if (!folder) return;
    sweep(folder.get());
    remove_folder_if_empty(folder.get());
}

std::string describe(const protocol::AgentRecord& record)
{
    auto text = fmt::format("process {}", record.pid);
    if (!record.agents.empty())
        text += text::printable(fmt::format(" ({})", fmt::join(record.agents, ", ")));
    return text;
}

}  // namespace autoexec::records
