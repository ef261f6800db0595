#include "autoexec/redaction.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/terminal_program.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/schedule_units.hpp"
#include "cli/workflow/setup.hpp"
#include "files/safe_files.hpp"
#include "process/run_program.hpp"
#include "text/json.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <exception>
#include <map>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t max_units = 10'000;

constexpr char schedule_examples[] = R"(
Examples:
  autoexec workflow schedule nightly.yaml --at 03:00
  autoexec workflow schedule nightly.yaml --at "Mon..Fri 03:00" -- --agent coder --param depth=2
  autoexec workflow schedule check.yaml --every 2h
  autoexec workflow schedule check.yaml --every 2h --show     # write nothing
  autoexec workflow schedule --list
  autoexec workflow schedule check.yaml --remove

The schedule is a systemd user timer. Triggers that were missed while the computer was off, or while
a run of the schedule lives, start one run. The words after -- are options of workflow run, and are
stored as they are: put secrets into the environment file of the service. --every takes a divisor of an hour or a
day, 1d or 1w.
)";

struct ScheduleOptions : CommonOptions {
    std::string file;
    std::optional<std::chrono::milliseconds> every;
    std::vector<std::string> at;
    bool list = false;
    bool show = false;
    bool remove = false;
    std::vector<std::string> program;  ///< Further words of `workflow run`, after `--`.
};

fs::path units_folder()
{
    auto base = fs::path(variable_value("XDG_CONFIG_HOME").value_or(""));
    if (!base.is_absolute()) {  // as the XDG specification says: a relative one is ignored
        const auto home = fs::path(variable_value("HOME").value_or(""));
        if (!home.is_absolute()) fail(exit_usage, "set HOME or XDG_CONFIG_HOME to a folder");
        base = home / ".config";
    }
    return base / "systemd" / "user";
}

process::ProgramOutput output_of(std::vector<std::string> argv, const fs::path& folder = "/")
{
    asio::io_context ctx{1};
    process::ProgramOutput result;
    asio::co_spawn(ctx, process::run_program(supervised_spawner(), std::move(argv), folder),
                   [&](std::exception_ptr failure, process::ProgramOutput output) {
                       if (failure) std::rethrow_exception(failure);
                       result = std::move(output);
                   });
    ctx.run();
    return result;
}

/// The service manager of this user.
class UserManager {
public:
    /// False, after which nothing more is asked, if it cannot be reached.
    bool call(const std::vector<std::string>& words)
    {
        if (!reason_.empty()) return false;
        std::vector<std::string> argv{"systemctl", "--user"};
        argv.insert(argv.end(), words.begin(), words.end());
        const auto output = output_of(std::move(argv));
        if (output.ok()) return true;
        reason_ = !output.exit.error.empty() ? output.exit.error : output.errors;
        while (reason_.ends_with('\n')) reason_.pop_back();
        if (reason_.empty()) reason_ = "systemctl --user has failed";
        return false;
    }
    /// Empty: all calls have succeeded.
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

private:
    std::string reason_;
};

/// The files of a schedule.
class ScheduleFiles {
public:
    explicit ScheduleFiles(const WorkflowSchedule& schedule)
        : folder_(units_folder()), name_(unit_name(schedule))
    {}

    [[nodiscard]] std::string timer() const { return name_ + ".timer"; }
    [[nodiscard]] std::string service() const { return name_ + ".service"; }
    [[nodiscard]] const fs::path& folder() const noexcept { return folder_; }
    [[nodiscard]] bool exist() const { return fs::exists(fs::symlink_status(folder_ / timer())); }
    [[nodiscard]] bool is_enabled() const
    {
        return fs::exists(fs::symlink_status(enabling_folder() / timer()));
    }
    /// What the timer was made from, if it exists.
    [[nodiscard]] std::optional<WorkflowSchedule> read() const
    {
        const auto folder = files::open_folder(folder_);
        if (!folder) return std::nullopt;
        return read_timer(files::read_regular(folder.get(), timer(), max_unit_bytes, {}).text);
    }

    /// The timer last: it starts the service. Words may be secret, so others cannot read them.
    void write(const WorkflowSchedule& schedule) const
    {
        error_code ec;
        const auto folder = files::make_folders(folder_, ec);
        if (folder)
            ec = files::replace_file(folder.get(), service(), service_unit(schedule), 0600,
                                     Durability::power);
        if (folder && !ec)
            ec = files::replace_file(folder.get(), timer(), timer_unit(schedule), 0600,
                                     Durability::power);
        if (ec)
            fail(exit_internal, "cannot write {}: {}", (folder_ / timer()).string(), ec.message());
    }

    /// The timer last: a removal that was interrupted can be repeated.
    void remove() const
    {
        remove_from(enabling_folder(), timer());
        remove_from(folder_, service());
        remove_from(folder_, timer());
    }

private:
    // Where `systemctl enable` makes a link.
    [[nodiscard]] fs::path enabling_folder() const { return folder_ / "timers.target.wants"; }

    static void remove_from(const fs::path& path, const std::string& name)
    {
        const auto folder = files::open_folder(path);
        if (const auto ec = folder ? files::remove_file(folder.get(), name) : error_code())
            fail(exit_internal, "cannot remove {}: {}", (path / name).string(), ec.message());
    }

    fs::path folder_;
    std::string name_;
};

json::object schedule_to_json(const WorkflowSchedule& schedule, bool enabled)
{
    const ScheduleFiles files(schedule);
    return {{"timer", files.timer()},
            {"path", (files.folder() / files.timer()).string()},
            {"project", schedule.project.string()},
            {"file", schedule.file.string()},
            {"calendar", text::array_of(schedule.calendar)},
            {"words", text::array_of(schedule.words)},
            {"enabled", enabled}};
}

int list_schedules(const ScheduleOptions& o, const fs::path& root)
{
    const auto folder = files::open_folder(units_folder());
    auto names = folder ? files::list_folder(folder.get(), max_units) : std::vector<std::string>();
    std::sort(names.begin(), names.end());
    bool any = false;
    for (const auto& name : names) {
        if (!name.starts_with(schedule_prefix) || !name.ends_with(".timer")) continue;
        const auto found = files::read_regular(folder.get(), name, max_unit_bytes, {});
        const auto schedule = read_timer(found.text);
        if (!schedule || schedule->project != root) continue;
        any = true;
        const bool enabled = ScheduleFiles(*schedule).is_enabled();
        if (o.json)
            print_json(schedule_to_json(*schedule, enabled));
        else
            print_result("{:8}  {}  {}  {}\n", enabled ? "enabled" : "disabled",
                         fmt::join(schedule->calendar, "; "), shown_path(schedule->file), name);
    }
    if (!any && !o.json) print_message("No workflow of this project is scheduled.\n");
    return exit_completed;
}

// As systemd reads it. Without systemd, it is not checked.
void check_calendar(const std::string& expression)
{
    const auto output = output_of({"systemd-analyze", "calendar", "--", expression});
    if (!output.ok() && output.exit.error.empty())
        fail(exit_usage,
             "--at: systemd does not accept '{}'; use 03:00, \"Mon..Fri 03:00\" or an "
             "expression of systemd.time(7)",
             expression);
}

std::vector<std::string> calendar_of(const ScheduleOptions& o)
{
    std::vector<std::string> calendar;
    if (o.every) {
        const auto expression = calendar_of_interval(*o.every);
        if (!expression)
            fail(exit_usage,
                 "--every {} is not possible: use 5m, 10m, 15m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h, "
                 "1d or 1w, or --at",
                 text::format_duration(*o.every));
        calendar.push_back(*expression);
    }
    for (const auto& text : o.at) {
        const auto expression = calendar_of_time(text);
        if (!expression)
            fail(exit_usage, "--at: invalid time '{}'; use 03:00 or \"Mon..Fri 03:00\"", text);
        check_calendar(*expression);
        calendar.push_back(*expression);
    }
    if (calendar.empty())
        fail(exit_usage, "give --every TIME or --at TIME; --list shows the schedules");
    return calendar;
}

void print_units(const WorkflowSchedule& schedule)
{
    const ScheduleFiles files(schedule);
    print_result("# {}\n{}\n# {}\n{}", (files.folder() / files.timer()).string(),
                 timer_unit(schedule), (files.folder() / files.service()).string(),
                 service_unit(schedule));
}

// At the time of a trigger, no person reads what is wrong with them.
void check_words(const WorkflowSchedule& schedule)
{
    for (const auto& word : schedule.words)
        if (word.starts_with("--detach"))
            fail(exit_usage,
                 "--detach cannot be scheduled: systemd would stop the run when the service ends");
    auto words = words_of(schedule);
    words.insert(words.begin() + 3, "--dry-run");  // behind `workflow run`
    const auto checked = output_of(std::move(words), schedule.project);
    if (checked.ok()) return;
    print_message(checked.errors);
    if (!checked.exit.error.empty()) print_message("{}\n", checked.exit.error);
    const auto code = checked.exit.exit_code.value_or(exit_internal);
    fail(static_cast<ExitCode>(code), "the workflow cannot be scheduled with these options");
}

void warn_of_secrets(const WorkflowSchedule& schedule, const ScheduleFiles& files)
{
    const Redactor redactor;
    for (const auto& word : schedule.words)
        if (redactor.finds_secret(word))
            print_message(
                "warning: {} contains a secret as plain text, because an option does; rather put "
                "it into ~/.config/autoexec/environment, and name the variable in 'env_refs'\n",
                (files.folder() / files.service()).string());
}

/// Starts the timer. Another time of the day begins to count now: otherwise systemd would start a
/// run for a trigger that it takes for missed.
bool start_timer(UserManager& manager, const ScheduleFiles& files, bool keeps_times)
{
    if (!manager.call({"daemon-reload"}) || !manager.call({"enable", files.timer()})) return false;
    if (!keeps_times && manager.call({"stop", files.timer()})) {
        UserManager cleaning;  // an older systemd cannot
        (void)cleaning.call({"clean", "--what=state", files.timer()});
    }
    // A timer that runs keeps its old times otherwise.
    return manager.call({"restart", files.timer()});
}

int write_schedule(const ScheduleOptions& o, WorkflowSchedule schedule)
{
    WorkflowReadOptions read;
    read.project_root = folder_of_used(o.file, schedule.project);
    auto file = read_workflow_file(o.file, false, read);
    require_usable(file, false);
    schedule.calendar = calendar_of(o);
    schedule.words = o.program;
    std::error_code ec;
    schedule.program = fs::read_symlink("/proc/self/exe", ec);
    if (const auto problem = unit_problem(schedule); !problem.empty())
        fail(exit_usage, "{}", problem);
    check_words(schedule);
    const ScheduleFiles files(schedule);
    if (o.show) {
        if (o.json)
            print_json(schedule_to_json(schedule, files.is_enabled()));
        else
            print_units(schedule);
        return exit_completed;
    }
    const bool replaced = files.exist();
    const auto before = files.read();
    files.write(schedule);
    warn_of_secrets(schedule, files);
    UserManager manager;
    const bool enabled =
        start_timer(manager, files, before && before->calendar == schedule.calendar);
    if (o.json)
        print_json(schedule_to_json(schedule, enabled));
    else
        print_result("{} {}: {}\n", replaced ? "replaced" : "scheduled", shown_path(schedule.file),
                     fmt::join(schedule.calendar, "; "));
    if (!enabled)
        print_message(
            "Written, but not started: {}. To start it:\n"
            "  systemctl --user daemon-reload\n  systemctl --user enable --now {}\n",
            manager.reason(), files.timer());
    return exit_completed;
}

int remove_schedule(const ScheduleOptions& o, const WorkflowSchedule& schedule)
{
    const ScheduleFiles files(schedule);
    if (!files.exist())
        fail(exit_usage, "{} is not scheduled; see autoexec workflow schedule --list",
             shown_path(schedule.file));
    UserManager manager;
    const bool stopped = manager.call({"disable", "--now", files.timer()});
    // Otherwise a later schedule of this file starts at once, for a trigger that this one missed.
    if (stopped) (void)manager.call({"clean", "--what=state", files.timer()});
    files.remove();
    UserManager after;
    if (stopped) (void)after.call({"daemon-reload"});
    if (o.json)
        print_json(schedule_to_json(schedule, false));
    else
        print_result("removed the schedule of {}\n", shown_path(schedule.file));
    if (!stopped)
        print_message(
            "Removed, but not stopped: {}. To stop it:\n"
            "  systemctl --user stop {}\n  systemctl --user daemon-reload\n",
            manager.reason(), files.timer());
    return exit_completed;
}

int schedule_workflow(const ScheduleOptions& options)
{
    const auto root = project_root(options);
    if (options.list) return list_schedules(options, root);
    if (options.file.empty()) fail(exit_usage, "give the workflow FILE, or --list");
    WorkflowSchedule schedule;
    schedule.project = root;
    schedule.file = fs::absolute(options.file).lexically_normal();
    if (!options.show) require_reader();
    return options.remove ? remove_schedule(options, schedule)
                          : write_schedule(options, std::move(schedule));
}

void define_workflow_schedule(CLI::App& app, ScheduleOptions& o)
{
    app.footer(schedule_examples);
    add_common(app, o);
    app.add_option("file", o.file, "The workflow file")->type_name("FILE");
    auto* const every = add_duration(app, "--every", o.every, "Run it at this interval");
    add_list(app, "--at", o.at, "TIME", "Run it at this time of day, or when systemd.time(7) says");
    auto* const at = app.get_option("--at");
    at->excludes(every);
    auto* const list = app.add_flag("--list", o.list, "List the schedules of the project");
    auto* const remove = app.add_flag("--remove", o.remove, "Remove the schedule of the file");
    app.add_flag("--show", o.show, "Print the units instead of writing them");
    list->excludes(every)->excludes(at)->excludes(remove)->excludes("--show")->excludes("file");
    remove->excludes(every)->excludes(at)->excludes("--show");
}

}  // namespace

extern const Subcommand workflow_schedule_subcommand =
    subcommand("workflow schedule", "Run a workflow regularly, by a systemd timer",
               define_workflow_schedule, schedule_workflow);

}  // namespace autoexec::cli
