#include "config/describe.hpp"

#include <fmt/format.h>

#include <cmath>

namespace autoexec::config {
namespace {

constexpr char introduction[] = R"(# Configuration

<!-- Made by `autoexec config reference`. -->

Nothing has to be configured. What is said, is said in one of these places; where several say
something about a setting, the first one wins, and a default never counts as something that was said.

| layer | place |
|---|---|
| command line | `autoexec run --timeout 90s` … |
| environment | `AUTOEXEC_…`: the key in capitals, with `_` for dots |
| workflow | `auto_execution` in the `metadata` of a workflow: true, false, or settings as in the file |
| project | `.tapps-agents/auto_execution_config.yaml`, the section `auto_execution:` |
| project | `.tapps-agents/config.yaml`, some keys of the section `workflow:` |
| user | `$XDG_CONFIG_HOME/autoexec/config.yaml` (`~/.config/autoexec/config.yaml`), the section `auto_execution:` |
| defaults | those below |

```yaml
# .tapps-agents/auto_execution_config.yaml
auto_execution:
  version: "1.0"
  retry:
    max_attempts: 5
  polling:
    timeout_seconds: 900
```

A key that is not known is a warning, below `auto_execution:` as well as beside it; with
`autoexec config validate --strict` it is an error. `config.yaml` holds sections of other programs: there,
only keys that resemble `workflow`, `auto_execution` or a key of ours are warned of. When autoexec writes
to a file, it leaves all other keys as they are.

- `autoexec config show --origin` tells what holds, and which line of which file says so.
- `autoexec config validate` checks without running anything; `--strict` takes warnings for errors.
- `autoexec config schema` prints a JSON Schema, for editors that complete and check.
- `autoexec config migrate` brings a file without a version, or with an older one, up to date. It
  shows the difference first.

A file that is wrong is never read as if it were not there: the program says what is wrong, and where,
and stops with exit code 3 before anything runs.

So it does where another user could have written one of these files, or can write to `.tapps-agents/` or
`~/.config/autoexec/`; the message has the command that mends it (`chmod go-w PATH`). The
[rule](file-protocol.md#owners) is that of Debian's ssh.

## While it runs

`autoexec run` and `autoexec agent` look at the files every second, and at once on `SIGHUP`. A new
configuration is taken as a whole if it is valid, and not at all if it is not; the audit trail tells
(`config_reloaded`, `config_rejected`). Executions that have begun keep what held when they began. Settings
marked *at start* are seen by the next engine or agent that is started.

## Settings

)";

constexpr char of_the_original[] = R"(
## Keys of the original

Below `workflow:` in `config.yaml`, the original also knows `branch_cleanup` and `state_persistence`. They are
left alone, and nothing is removed because of them: the original deletes branches whether they were merged
or not. What comes near:

| there | here |
|---|---|
| `branch_cleanup.auto_cleanup_on_completion: true` | `worktrees.auto_gc: true` |
| `branch_cleanup.delete_branches_on_cleanup: true` | `worktrees.delete_branches: true`: only what another branch holds |
| `branch_cleanup.retention_days: 7` | `worktrees.older_than: 7d` |
| `state_persistence.cleanup.keep_latest: 10` | `worktrees.keep: 10`; journals of runs stay |
)";

constexpr char extensions[] = R"(
## Flags and settings of an application

An application that embeds the library adds its own, and gets all of the above for them:

```cpp
autoexec::AutoExecutionConfigManager manager({}, project);
manager.register_flag("night_shift", false, "Run at night only.");
manager.register_setting("shop.region", std::string("eu"), "Where the machines are.");
const auto config = manager.load();
const bool nightly = manager.get_feature_flag("night_shift");
const auto region = std::get<std::string>(config.extensions.at("shop.region"));
```

```yaml
auto_execution:
  features:
    night_shift: true
  extensions:
    shop:
      region: us
```

What stands below `extensions:` and is not registered is left alone: another program may know it.
)";

std::string cell_default(const SettingsTable& table, const Setting& s)
{
    return fmt::format("`{}`", to_string(s.get(table.defaults())));
}

std::string cell_allowed(const Setting& s)
{
    if (s.unit.empty()) return s.allowed();
    return fmt::format("{} {}", s.allowed(), s.unit);
}

std::string cell_names(const Setting& s)
{
    const auto environment = s.environment_name();
    auto names = environment.empty() ? std::string() : fmt::format("`{}`", environment);
    if (!s.alias.empty()) names += fmt::format(", `workflow.{}` in `config.yaml`", s.alias);
    return names;
}

boost::json::value json_of(const SettingValue& value)
{
    return std::visit([](const auto& v) { return boost::json::value(v); }, value);
}

// Whole bounds without a point, as people write them.
boost::json::value json_bound(double bound)
{
    if (std::floor(bound) == bound && std::abs(bound) < 1e15)
        return static_cast<std::int64_t>(bound);
    return bound;
}

void add_range(const Setting& s, boost::json::object& schema)
{
    if (std::isfinite(s.range.least))
        schema[s.range.above_least ? "exclusiveMinimum" : "minimum"] = json_bound(s.range.least);
    if (std::isfinite(s.range.most)) schema["maximum"] = json_bound(s.range.most);
}

boost::json::object schema_of(const SettingsTable& table, const Setting& s)
{
    boost::json::object schema;
    schema["description"] =
        s.unit.empty() ? s.documentation : fmt::format("{} In {}.", s.documentation, s.unit);
    switch (s.type) {
        case SettingType::boolean:
            schema["type"] = "boolean";
            break;
        case SettingType::integer:
            schema["type"] = "integer";
            break;
        case SettingType::number:
            schema["type"] = "number";
            break;
        case SettingType::version:  // a number, too: people forget the quotes
            schema["enum"] = boost::json::array{std::string(current_version), 1.0};
            break;
        case SettingType::choice:
            schema["enum"] = boost::json::array(s.choices.begin(), s.choices.end());
            break;
        case SettingType::duration:
            schema["type"] = boost::json::array{"string", "number"};
            schema["pattern"] = R"(^[0-9]+(\.[0-9]*)?(ms|s|m|h|d|w)?$)";
            break;
        case SettingType::text:
        case SettingType::file_name:
            schema["type"] = "string";
            break;
    }
    add_range(s, schema);
    schema["default"] = json_of(s.get(table.defaults()));
    return schema;
}

boost::json::object section_schema(const SettingsTable& table, std::string_view section)
{
    boost::json::object properties;
    for (const auto name : table.names_in(section)) {
        const auto key = section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
        const auto* const setting = table.find(key);
        properties[name] =
            setting != nullptr ? schema_of(table, *setting) : section_schema(table, key);
    }
    const bool open = section.starts_with("extensions");
    if (section.empty() && !properties.contains("extensions"))
        properties["extensions"] = boost::json::object{{"type", "object"}};
    return {
        {"type", "object"}, {"additionalProperties", open}, {"properties", std::move(properties)}};
}

}  // namespace

std::string reference(const SettingsTable& table)
{
    std::string page = introduction;
    page += "| setting | default | allowed | |\n|---|---|---|---|\n";
    for (const auto& s : table.settings())
        page += fmt::format(
            "| `{}` | {} | {} | {}{} |\n", s.key, cell_default(table, s), cell_allowed(s),
            s.documentation,
            s.effect == Effect::next_start && s.type != SettingType::version ? " *At start.*" : "");
    page += "\n## Other names\n\n| setting | environment, other files |\n|---|---|\n";
    for (const auto& s : table.settings())
        if (const auto names = cell_names(s); !names.empty())
            page += fmt::format("| `{}` | {} |\n", s.key, names);
    return page + of_the_original + extensions;
}

boost::json::object json_schema(const SettingsTable& table)
{
    boost::json::object ours{{"auto_execution", section_schema(table, {})}};
    return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
            {"title", "auto_execution_config.yaml"},
            {"type", "object"},
            {"additionalProperties", false},
            {"properties", std::move(ours)}};
}

}  // namespace autoexec::config
