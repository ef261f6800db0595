#include "config/layer.hpp"
#include "config/migration.hpp"
#include "yaml/yaml_edit.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace autoexec;
using namespace autoexec::config;
using namespace autoexec::yaml;

namespace {

void must(bool holds)
{
    if (!holds) std::abort();
}

// Times are kept in milliseconds.
bool is_near(const SettingValue& a, const SettingValue& b)
{
    const auto* const x = std::get_if<double>(&a);
    const auto* const y = std::get_if<double>(&b);
    return x != nullptr && y != nullptr ? std::abs(*x - *y) <= 0.001 : a == b;
}

// Each value is in range and has its position.
void check_values(const SettingsTable& table, const std::vector<LayerValue>& values)
{
    AutoExecutionConfig config = table.defaults();
    for (const auto& value : values) {
        const auto* const setting = table.find(value.key);
        must(setting != nullptr && setting->complaint(value.value).empty());
        must(value.origin.line > 0);
        setting->set(config, value.value);
        must(setting->complaint(setting->get(config)).empty());
        must(is_near(setting->get(config), value.value));
    }
}

// A value that was set is read back; all that can be read, can be changed, unless something that is
// no mapping is in the way.
void check_edit(const SettingsTable& table, std::string_view text)
{
    const std::array<std::string, 3> path{"auto_execution", "retry", "max_attempts"};
    const auto changed = set_in_yaml(text, path, make_scalar("7", true));
    if (!changed) return;
    Report report("fuzz.yaml", *changed);
    const auto root = parse_yaml(*changed, report);
    must(root && !report.failed());
    std::vector<LayerValue> values;
    Report again("fuzz.yaml", *changed);
    read_own_file({table, {}, again, values}, *changed);
    bool found = false;
    for (const auto& value : values)
        found |= value.key == "retry.max_attempts" && value.value == SettingValue(std::int64_t{7});
    must(found);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const SettingsTable table;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<LayerValue> values;
    Report own("fuzz.yaml", text);
    read_own_file({table, {}, own, values}, text);
    Report project("fuzz.yaml", text);
    read_project_file({table, {}, project, values}, text);
    check_values(table, values);
    (void)to_string(own.take_errors());
    (void)to_string(own.take_warnings());

    Report migration("fuzz.yaml", text);
    const auto migrated = migrate(text, migration);
    must(migrated.has_value() || migration.failed());
    if (migrated) (void)difference(text, *migrated);
    check_edit(table, text);
    return 0;
}
