#include "health/checks.hpp"
#include "protocol/pause_file.hpp"
#include "records/pauses.hpp"
#include "records/project_slots.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <vector>

namespace autoexec::health {
namespace {

/// Reports the pauses of one project.
class PauseFindings {
public:
    explicit PauseFindings(FindingList& findings)
        : findings_(findings), details_(findings.details()["paused"].emplace_array())
    {}

    void add(const protocol::Pause& pause, std::string_view kind = {}, const std::string& name = {})
    {
        std::vector<std::string> words{"autoexec", "resume"};
        if (!kind.empty()) words.insert(words.end(), {fmt::format("--{}", kind), name});
        auto sentence = protocol::words_of_pause(pause, kind, name) + ".";
        sentence.front() = 'S';
        findings_.degraded(std::move(sentence),
                           fmt::format("To end the pause: {}", text::quote_words(words)));
        const auto name_if = [&](std::string_view wanted) {
            return text::text_or_null(kind == wanted ? name : std::string());
        };
        details_.push_back({{"agent", name_if("agent")},
                            {"workflow", name_if("workflow")},
                            {"since", text::text_or_null(text::iso_utc(pause.since))},
                            {"by", text::text_or_null(pause.by)}});
    }

private:
    FindingList& findings_;
    boost::json::array& details_;
};

}  // namespace

std::string check_starts(FindingList& findings, const HealthOptions& options)
{
    const auto [pauses, problem] = records::read_pauses(options.project_root);
    if (!problem.empty()) findings.degraded(problem, "To remove the file: autoexec resume");
    PauseFindings paused(findings);
    if (pauses.all) paused.add(*pauses.all);
    for (const auto& [name, pause] : pauses.agents) paused.add(pause, "agent", name);
    for (const auto& [name, pause] : pauses.workflows) paused.add(pause, "workflow", name);
    for (const auto& sentence : records::ProjectSlots::find_problems(options.project_root))
        findings.degraded(
            sentence,
            "Check its owner and permissions; replace it with a plain file or folder, "
            "or remove it. Some file systems cannot lock files.");
    return "No start is paused, and the limits of commands at once hold for the project.";
}

}  // namespace autoexec::health
