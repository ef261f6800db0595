#include "records/agent_presence.hpp"

#include "protocol/layout.hpp"
#include "records/locked_file.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace autoexec::records {
namespace {

using files::UniqueFd;
namespace json = boost::json;

constexpr char record_suffix[] = ".json";
constexpr std::size_t record_limit = 64 * 1024;
constexpr std::size_t max_agents = 1000;

UniqueFd open_root(const std::filesystem::path& project_root)
{
    return UniqueFd(::open(project_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

UniqueFd open_agents_folder(const std::filesystem::path& project_root)
{
    const auto root = open_root(project_root);
    error_code ec;
    return root ? files::open_beneath(root.get(), layout::agents, O_RDONLY | O_DIRECTORY,
                                      files::Links::none, ec)
                : UniqueFd();
}

std::string format(const AgentRecord& r)
{
    json::object o;
    o["agent_id"] = r.agent_id;
    o["pid"] = r.pid;
    o["host"] = r.host;
    o["started_at"] = r.started_at;
    o["agents"] = json::array(r.agents.begin(), r.agents.end());
    return text::dump_indented(o);
}

std::string string_of(const json::object& o, std::string_view key)
{
    const auto* const value = o.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
}

std::optional<AgentRecord> parse(std::string_view text)
{
    const auto reading = text::read_json_object(text);
    AgentRecord r;
    r.agent_id = string_of(reading.object, "agent_id");
    if (r.agent_id.empty()) return std::nullopt;
    r.host = string_of(reading.object, "host");
    r.started_at = string_of(reading.object, "started_at");
    const auto* const pid = reading.object.if_contains("pid");
    if (pid != nullptr && pid->is_int64()) r.pid = pid->get_int64();
    const auto* const agents = reading.object.if_contains("agents");
    if (agents == nullptr || !agents->is_array()) return r;
    for (const auto& name : agents->get_array())
        if (name.is_string()) r.agents.emplace_back(name.get_string());
    return r;
}

// A shared lock, so that two concurrent readers do not take each other for the agent.
bool is_dead(int fd)
{
    return ::flock(fd, LOCK_SH | LOCK_NB) == 0;
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
    for (const auto& name : files::list_folder(folder, max_agents)) {
        if (!name.ends_with(record_suffix)) continue;
        error_code ec;
        const auto fd = files::open_beneath(folder, name, O_RDONLY, files::Links::none, ec);
        if (fd && is_dead(fd.get())) (void)files::remove_file(folder, name);
    }
}

}  // namespace

AgentPresence::AgentPresence(UniqueFd folder, UniqueFd file, std::string name)
    : folder_(std::move(folder)), file_(std::move(file)), name_(std::move(name))
{}

std::optional<AgentPresence> AgentPresence::create(const std::filesystem::path& project_root,
                                                   const AgentRecord& record, error_code& ec)
{
    const auto root = open_root(project_root);
    ec = root ? error_code{} : files::last_error();
    if (ec) return std::nullopt;
    auto name = text::file_name_of(record.agent_id) + record_suffix;
    // Tried twice: an agent that ends removes the empty folder.
    for (int tries = 0; tries < 2; ++tries) {
        auto folder = files::make_folders(root.get(), layout::agents, ec);
        if (ec) break;
        sweep(folder.get());
        auto file = create_locked(folder.get(), name, record.agent_id, format(record), ec);
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
    struct stat st {};
    return ::fstat(file_.get(), &st) != 0 || st.st_nlink == 0;
}

std::vector<AgentEntry> list_agents(const std::filesystem::path& project_root)
{
    std::vector<AgentEntry> entries;
    const auto folder = open_agents_folder(project_root);
    if (!folder) return entries;
    for (const auto& name : files::list_folder(folder.get(), max_agents)) {
        if (!name.ends_with(record_suffix)) continue;
        error_code ec;
        const auto fd = files::open_beneath(folder.get(), name, O_RDONLY, files::Links::none, ec);
        if (!fd) continue;
        const auto found = files::read_regular(folder.get(), name, record_limit, {});
        auto record = parse(found.text);
        if (record) entries.push_back({std::move(*record), !is_dead(fd.get())});
    }
    std::sort(entries.begin(), entries.end(), [](const AgentEntry& a, const AgentEntry& b) {
        return a.record.started_at < b.record.started_at;
    });
    return entries;
}

void sweep_agents(const std::filesystem::path& project_root)
{
    const auto folder = open_agents_folder(project_root);
    if (!folder) return;
    sweep(folder.get());
    remove_folder_if_empty(folder.get());
}

std::string describe(const AgentRecord& record)
{
    auto text = fmt::format("process {}", record.pid);
    if (!record.agents.empty())
        text += text::printable(fmt::format(" ({})", fmt::join(record.agents, ", ")));
    return text;
}

}  // namespace autoexec::records
