#include "cli/session/attempt_output.hpp"
#include "cli/session/display.hpp"
#include "cli/session/find_execution.hpp"
#include "cli/session/followed_project.hpp"
#include "cli/session/questions.hpp"
#include "cli/session/result_printer.hpp"
#include "cli/subcommand.hpp"
#include "queue/engine_lock.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds attach_interval{200};
// On narrower terminals, rows have no worktree.
constexpr std::size_t min_wide = 60;

struct AttachOptions : CommonOptions {
    std::string execution;  ///< Empty: all.
};

bool is_in_flight(const ExecutionEntry* entry)
{
    return entry != nullptr && entry->state != ExecutionState::interrupted;
}

// Of a command of the foreground between two attempts, no submission is known.
bool is_in_queue(const ExecutionEntry& entry)
{
    return entry.submitted_at.has_value();
}

std::string words_for(const ExecutionEntry& entry)
{
    if (entry.waiting_for) return waiting_sentence(*entry.waiting_for, entry.execution_id);
    auto words = std::string(to_string(entry.state));
    if (entry.attempt > 1) words += fmt::format(" (attempt {})", entry.attempt);
    return words;
}

// `place`: in the queue; zero: it is not there.
std::string row_for(const ExecutionEntry& entry, std::size_t place, std::size_t columns)
{
    const auto start = entry.started_at ? entry.started_at : entry.submitted_at;
    const auto age =
        start ? std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now() - *start)
              : milliseconds{0};
    const auto says = entry.waiting_for ? waiting_sentence(*entry.waiting_for, entry.execution_id)
                                        : text_of(entry.progress);
    const auto state =
        place > 0 ? fmt::format("queued {}", place) : std::string(to_string(entry.state));
    const auto tree = columns < min_wide ? std::string() : shown_path(entry.worktree) + "  ";
    const auto row = fmt::format("{} {} {:>7}  {}{}", short_id(entry.execution_id), cell(state, 11),
                                 text::format_duration(std::max(age, milliseconds{0})), tree,
                                 says.empty() ? entry.command : says);
    return cell(row, columns - 2);
}

/// Shows executions until they have ended: all that are in flight meanwhile, or one of them.
class Attachment {
public:
    Attachment(const AttachOptions& options, const std::filesystem::path& root)
        : options_(options),
          root_(root),
          only_(options.execution.empty() ? "" : find_execution(root, options.execution)),
          project_(root),
          results_(root, options.json, ResultPrinter::Use::preview),
          screen_(only_.empty() ? Screen::suitable_mode(false) : Screen::Mode::lines,
                  [this](const Screen::Size& size) { return table(size); })
    {
        if (!only_.empty()) shown_[only_];
    }

    int run()
    {
        project_.catch_interrupt();
        for (;;) {
            show_changes();
            std::erase_if(shown_, [this](const auto& one) { return end(one.first); });
            if (shown_.empty()) break;
            screen_.redraw();
            project_.wait(attach_interval);
            if (project_.is_interrupted()) return leave();
        }
        screen_.hide();
        if (results_.count() == 0) print_message("No commands are running or queued.\n");
        return results_.exit_code();
    }

private:
    void show_changes()
    {
        project_.report_pauses();
        bool needs_engine = false;
        for (const auto& [key, entry] : project_.executions()) {
            if (!is_in_flight(&entry) || (!only_.empty() && entry.execution_id != only_)) continue;
            needs_engine |= is_in_queue(entry);
            auto& shown = shown_[entry.execution_id];
            auto words = words_for(entry);
            const bool is_new = std::exchange(shown, words) != words;
            if (is_new && screen_.mode() == Screen::Mode::lines)
                print_message("{} {} {}\n", short_id(entry.execution_id),
                              shown_path(entry.worktree), text::printable(words));
            if (!only_.empty()) copy_output(entry);
        }
        if (needs_engine) report_missing_engine();
    }

    // An attempt of which the output ends here has ended.
    void copy_output(const ExecutionEntry& entry)
    {
        if (options_.json || entry.attempt_id.empty()) return;
        if (std::exchange(attempt_id_, entry.attempt_id) != entry.attempt_id) {
            finish_output();
            output_.emplace(root_, attempt_id_, false);
        }
        (void)output_->copy_new();
    }

    void finish_output()
    {
        if (!output_) return;
        (void)output_->copy_new();
        output_->finish();
        output_.reset();
    }

    // It may be between two executors of the queue.
    void report_missing_engine()
    {
        if (engine_reported_ || queue::probe_engine(root_).alive) return;
        engine_reported_ = true;
        print_message("No engine of the queue runs; start one with: autoexec queue run\n");
    }

    // True if it has ended, and its result is printed.
    bool end(const std::string& id)
    {
        const auto* const entry = project_.find(id);
        if (is_in_flight(entry)) return false;
        if (!only_.empty()) finish_output();
        return results_.print(id, entry != nullptr);
    }

    int leave()
    {
        screen_.hide();
        const auto one = only_.empty() ? std::string() : " " + short_id(only_);
        print_message("{} to run. To cancel: autoexec cancel{}. To come back: autoexec attach{}\n",
                      only_.empty() ? "The commands continue" : "The command continues",
                      only_.empty() ? " --all" : one, one);
        return exit_cancelled;
    }

    [[nodiscard]] std::vector<std::string> table(const Screen::Size& size) const
    {
        std::vector<const ExecutionEntry*> entries;
        std::size_t queued = 0;
        for (const auto& [key, entry] : project_.executions()) {
            if (is_in_flight(&entry)) entries.push_back(&entry);
            if (entry.state == ExecutionState::queued) ++queued;
        }
        std::stable_partition(entries.begin(), entries.end(), [](const auto* entry) {
            return entry->state != ExecutionState::queued;
        });
        std::vector<std::string> lines;
        const auto count = std::min(entries.size(), room_for_rows(size));
        const auto first_queued = entries.size() - queued;
        for (std::size_t i = 0; i < count; ++i)
            lines.push_back(
                row_for(*entries[i], i < first_queued ? 0 : i - first_queued + 1, size.columns));
        if (count < entries.size())
            lines.push_back(fmt::format("… and {} more", entries.size() - count));
        lines.push_back(fmt::format("{} in flight, {} queued, {} ended; Ctrl-C leaves them running",
                                    entries.size() - queued, queued, results_.count()));
        return lines;
    }

    const AttachOptions& options_;
    std::filesystem::path root_;
    std::string only_;  ///< The id of an execution; empty: all.
    FollowedProject project_;
    ResultPrinter results_;
    Screen screen_;
    std::map<std::string, std::string> shown_;  ///< Executions that have not ended; what was shown.
    std::string attempt_id_;
    std::optional<AttemptOutput> output_;
    bool engine_reported_ = false;
};

int attach(const AttachOptions& options)
{
    return Attachment(options, project_root(options)).run();
}

constexpr char attach_footer[] = R"(
Without ID: all commands, also those that start later, until none is left. Ctrl-C leaves them
running.

Exit codes: as for autoexec run; 130 after Ctrl-C.
)";

void define_attach(CLI::App& app, AttachOptions& o)
{
    app.footer(attach_footer);
    add_common(app, o);
    add_execution(app, o.execution, "; its output is printed")->required(false);
}

}  // namespace

extern const Subcommand attach_subcommand =
    subcommand("attach", "Follow running and queued commands", define_attach, attach);

}  // namespace autoexec::cli
