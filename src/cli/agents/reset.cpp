#include "cli/subcommand.hpp"
#include "records/health_file.hpp"

#include <boost/system/errc.hpp>

#include <algorithm>
#include <chrono>
#include <thread>

namespace autoexec::cli {
namespace {

struct AgentsResetOptions : CommonOptions {
    std::vector<std::string> names;  ///< Empty: all.
};

// Executors lock the file for microseconds.
constexpr int reset_tries = 50;
constexpr std::chrono::milliseconds reset_pause{10};

error_code forget(const std::filesystem::path& root, const std::vector<std::string>& names,
                  protocol::AgentHealthMap& forgotten)
{
    error_code ec;
    for (int i = 0; i < reset_tries; ++i) {
        ec = records::change_agent_health(
            root, std::chrono::system_clock::now(), [&](protocol::AgentHealthMap& agents) {
                forgotten = agents;
                std::erase_if(forgotten, [&](const auto& agent) {
                    return !names.empty() &&
                           std::find(names.begin(), names.end(), agent.first) == names.end();
                });
                for (const auto& [name, health] : forgotten) agents.erase(name);
            });
        if (ec != boost::system::errc::resource_unavailable_try_again) break;
        std::this_thread::sleep_for(reset_pause);
    }
    return ec;
}

int reset_agents(const AgentsResetOptions& options)
{
    const auto root = project_root(options);
    const auto now = std::chrono::system_clock::now();
    auto reading = records::read_agent_health(root, now);
    protocol::AgentHealthMap forgotten;
    // Nothing is created where nothing is recorded.
    if (!reading.agents.empty() || !reading.problem.empty() || reading.busy)
        if (const auto ec = forget(root, options.names, forgotten))
            fail(exit_internal, "the state of the agents cannot be changed: {}", ec.message());
    if (!reading.problem.empty()) print_message("{} It was replaced.\n", reading.problem);
    for (const auto& [name, health] : forgotten) {
        if (options.json)
            print_json({{"agent", name}, {"state", to_string(protocol::phase_of(health, now))}});
        else
            print_result("{}  was {}\n", cell(name, 16),
                         to_string(protocol::phase_of(health, now)));
    }
    for (const auto& name : options.names)
        if (!forgotten.contains(name))
            print_message("{}: no failures are recorded\n", text::printable(name));
    if (options.names.empty() && forgotten.empty() && !options.json)
        print_message("No failures of agents are recorded.\n");
    return exit_completed;
}

void define_agents_reset(CLI::App& app, AgentsResetOptions& o)
{
    add_common(app, o);
    app.add_option("name", o.names, "Only these agents")->type_name("NAME");
    app.footer("Commands that wait for such an agent start within half a second.");
}

}  // namespace

extern const Subcommand agents_reset_subcommand =
    subcommand("agents reset", "Let agents that are down get commands again", define_agents_reset,
               reset_agents);

}  // namespace autoexec::cli
