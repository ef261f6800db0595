#include "autoexec/config.hpp"

#include "cli/cli.hpp"
#include "cli/flags.hpp"
#include "cli/session/configuration.hpp"
#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <memory>

namespace autoexec::cli {
namespace {

struct ConfigValidateOptions {
    CommonOptions common;
    std::string path;  ///< Empty: the project's.
    bool strict = false;
};

int validate_config(const ConfigValidateOptions& options)
{
    AutoExecutionConfigManager manager(options.path, project_root(options.common));
    (void)manager.load(false);
    auto found = manager.diagnostics();
    if (options.strict)
        for (auto& diagnostic : found) diagnostic.severity = Diagnostic::Severity::error;
    const bool valid = std::none_of(found.begin(), found.end(), [](const Diagnostic& d) {
        return d.severity == Diagnostic::Severity::error;
    });
    if (options.common.json) {
        print_json(boost::json::object{{"valid", valid},
                                       {"config_path", manager.config_path().string()},
                                       {"diagnostics", to_json_array(found)}});
    } else {
        print_problems(found);
        if (valid) print_result("The configuration is valid.\n");
    }
    return valid ? exit_completed : exit_invalid;
}

SubcommandBody define_config_validate(CLI::App& app)
{
    const auto o = std::make_shared<ConfigValidateOptions>();
    add_common(app, o->common);
    app.add_option("path", o->path, "Check FILE instead of the project's file")->type_name("FILE");
    app.add_flag("--strict", o->strict, "Treat warnings as errors");
    app.footer("Exit codes: 0 valid, 3 invalid.");
    return {[o] { return validate_config(*o); }};
}

}  // namespace

extern const Subcommand config_validate_subcommand{
    "config validate", "Check the configuration and report every problem", define_config_validate};

}  // namespace autoexec::cli
