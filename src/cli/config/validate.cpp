#include "cli/session/configuration.hpp"
#include "cli/subcommand.hpp"
#include "config/layer.hpp"
#include "process/run_program.hpp"

#include <algorithm>

namespace autoexec::cli {
namespace {

struct ConfigValidateOptions : CommonOptions {
    std::string path;  ///< Empty: the project's.
    bool strict = false;
};

int validate_config(const ConfigValidateOptions& options)
{
    AutoExecutionConfigManager manager(options.path, project_root(options));
    (void)manager.load(false);
    auto found = manager.diagnostics();
    for (auto& unlike : config::unlike_variables({}, process::inherited_environment()))
        found.push_back(std::move(unlike));
    if (options.strict)
        for (auto& diagnostic : found) diagnostic.severity = Diagnostic::Severity::error;
    const bool valid = std::none_of(found.begin(), found.end(), [](const Diagnostic& d) {
        return d.severity == Diagnostic::Severity::error;
    });
    if (options.json) {
        print_json(boost::json::object{{"valid", valid},
                                       {"config_path", manager.config_path().string()},
                                       {"diagnostics", to_json_array(found)}});
    } else {
        print_problems(found);
        if (valid) print_result("The configuration is valid.\n");
    }
    return valid ? exit_completed : exit_invalid;
}

void define_config_validate(CLI::App& app, ConfigValidateOptions& o)
{
    add_common(app, o);
    app.add_option("path", o.path, "Check FILE instead of the project's file")->type_name("FILE");
    app.add_flag("--strict", o.strict, "Treat warnings as errors");
    app.footer("Exit codes: 0 valid, 3 invalid.");
}

}  // namespace

extern const Subcommand config_validate_subcommand =
    subcommand("config validate", "Check the configuration and report every problem",
               define_config_validate, validate_config);

}  // namespace autoexec::cli
