#include "cli/session/records.hpp"
#include "cli/subcommand.hpp"

#include <map>

namespace autoexec::cli {
namespace {

struct SummaryOptions : CommonOptions {
    MetricsFilterOptions filter;
    SummaryForm form;
};

int metrics(const SummaryOptions& options)
{
    auto form = options.form;
    form.json = options.json;
    if (form.prometheus) form.grouping = MetricsGrouping::agent;
    return print_summary(project_root(options), filter_of(options.filter), form);
}

void define_metrics(CLI::App& app, SummaryOptions& o)
{
    static const std::map<std::string, MetricsGrouping> groupings{
        {"workflow", MetricsGrouping::workflow}, {"step", MetricsGrouping::step},
        {"agent", MetricsGrouping::agent},       {"model", MetricsGrouping::model},
        {"day", MetricsGrouping::day},
    };
    add_common(app, o);
    add_choice(
        app, "--by", {"workflow", "step", "agent", "model", "day"},
        [&o](const std::string& word) { o.form.grouping = groupings.at(word); },
        "Print totals of each workflow, step, agent, model or day")
        ->type_name("WORD");
    add_metrics_filter(app, o.filter);
    add_csv(app, o.form.csv);
    app.add_flag("--prometheus", o.form.prometheus,
                 "Print totals of each agent in the text format of Prometheus")
        ->excludes("--json", "--csv", "--by");
}

}  // namespace

extern const Subcommand metrics_subcommand =
    subcommand("metrics", "Print totals of finished commands", define_metrics, metrics);

}  // namespace autoexec::cli
