#include "workflow/definition/items_reader.hpp"

#include "workflow/plan/expansion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace autoexec::workflow {
namespace {

namespace json = boost::json;
using yaml::YamlNode;

constexpr int max_items_at_once = 10'000;
constexpr int max_best_of = 100;
constexpr std::array<std::string_view, 4> matrix_words{"include", "exclude", "max_parallel",
                                                       "fail_fast"};

void read_limits(FieldReader& fields, WorkflowItems& items)
{
    items.max_parallel =
        static_cast<std::size_t>(fields.integer("max_parallel", 0, max_items_at_once).value_or(0));
    items.fail_fast = fields.boolean("fail_fast").value_or(false);
}

// A list, or the name of one.
void read_list(FieldReader& fields, std::string_view key, WorkflowItems& items)
{
    const auto* const node = fields.find(key);
    if (node == nullptr) return fields.error(key, fmt::format("Field '{}' is missing", key));
    if (node->kind == YamlNode::Kind::sequence)
        items.list = to_json(*node).as_array();
    else if (const auto name = node->as_string(); name && !name->empty())
        items.source = *name;
    else
        fields.wrong_type(key, "a list, or the name of one, as plan.results.tasks");
}

using Axes = std::vector<std::pair<std::string, json::array>>;

bool has_too_many(const Axes& axes)
{
    std::size_t count = 1;
    bool too_many = false;
    for (const auto& [name, values] : axes) {
        if (values.empty()) return false;
        count = std::min(count * std::min(values.size(), max_items_limit + 1), max_items_limit + 1);
        too_many = count > max_items_limit;
    }
    return too_many;
}

/// The combinations of all values: at most `max_items_limit`.
json::array product_of(const Axes& axes)
{
    json::array all{json::object{}};
    for (const auto& [name, values] : axes)
        if (values.empty()) return {};
    for (const auto& [name, values] : axes) {
        json::array longer;
        for (const auto& one : all)
            for (const auto& value : values) {
                auto combination = one.get_object();
                combination[name] = value;
                longer.push_back(std::move(combination));
            }
        all = std::move(longer);
    }
    return axes.empty() ? json::array{} : all;
}

bool has_all(const json::value& combination, const json::value& wanted)
{
    return std::ranges::all_of(wanted.get_object(), [&](const auto& member) {
        const auto* const value = combination.get_object().if_contains(member.key());
        return value != nullptr && *value == member.value();
    });
}

class MatrixReader {
public:
    explicit MatrixReader(FieldReader& fields) : fields_(fields) {}

    WorkflowItems read()
    {
        WorkflowItems items;
        items.max_items = max_items_limit;
        read_limits(fields_, items);
        const auto included = read_combinations("include");
        const auto excluded = read_combinations("exclude");
        const auto axes = read_axes();
        if (has_too_many(axes)) {
            fields_.error(axes.front().first,
                          fmt::format("The matrix has more than {} combinations, also of those "
                                      "that 'exclude' removes",
                                      max_items_limit),
                          "Shorten its lists, or list the combinations below 'include'.");
            return items;
        }
        auto all = product_of(axes);
        for (std::size_t k = 0; k < excluded.size(); ++k) exclude(all, excluded[k], k);
        all.insert(all.end(), included.begin(), included.end());
        if (all.empty() && fields_.wrong().empty())
            fields_.error("include", "The matrix has no combination", "Give it a list of values.");
        items.list = std::move(all);
        return items;
    }

private:
    Axes read_axes()
    {
        Axes axes;
        for (const auto& entry : fields_.node().entries) {
            if (std::ranges::count(matrix_words, std::string_view(entry.key)) > 0) continue;
            const auto* const node = fields_.find(entry.key);
            if (node != nullptr && node->kind == YamlNode::Kind::sequence)
                axes.emplace_back(entry.key, to_json(*node).as_array());
            else
                fields_.wrong_type(entry.key, "a list of values");
        }
        return axes;
    }

    json::array read_combinations(std::string_view key)
    {
        json::array all;
        const auto* const list =
            fields_.find(key) != nullptr ? fields_.list(key, "combination") : nullptr;
        for (std::size_t k = 0; list != nullptr && k < list->size(); ++k) {
            const auto& node = (*list)[k];
            if (node.kind == YamlNode::Kind::mapping && !node.entries.empty())
                all.push_back(to_json(node));
            else
                fields_.wrong_type(fmt::format("{}[{}]", key, k + 1), node, "a mapping");
        }
        return all;
    }

    // If it excluded nothing, it would have no effect: a typing error, perhaps.
    void exclude(json::array& all, const json::value& wanted, std::size_t number)
    {
        json::array kept;
        for (auto& one : all)
            if (!has_all(one, wanted)) kept.push_back(std::move(one));
        if (kept.size() == all.size())
            fields_.warning("exclude",
                            fmt::format("exclude[{}] matches no combination", number + 1));
        all = std::move(kept);
    }

    FieldReader& fields_;
};

// The same command several times, by one agent or by several.
std::optional<WorkflowItems> read_best_of(FieldReader& step, std::string& agent)
{
    WorkflowItems items;
    items.best_by = "score";
    std::optional<int> count;
    if (step.find("best_of")->kind != YamlNode::Kind::mapping) {
        count = step.integer("best_of", 2, max_best_of);
    } else {
        auto fields = step.within("best_of");
        count = fields->integer("count", 2, max_best_of);
        const auto agents = fields->texts("agents");
        for (const auto& name : agents) items.list.emplace_back(name);
        if (auto name = fields->text("by"); name && !name->empty())
            items.best_by = *std::move(name);
        items.max_parallel = static_cast<std::size_t>(
            fields->integer("max_parallel", 0, max_items_at_once).value_or(0));
        if (fields->wrong().empty() && (count.has_value() == !agents.empty()))
            fields->error(fields->node().at, "Give either 'count' or 'agents'");
        if (!agents.empty() && !agent.empty())
            fields->error("agents", "The step has an 'agent', too", "Remove one of them.");
        if (!agents.empty()) agent = "{item}";
        fields->check_keys();
        step.take_wrong("best_of", *fields);
    }
    for (int k = 1; count && k <= *count; ++k) items.list.emplace_back(k);
    return items;
}

}  // namespace

std::optional<WorkflowItems> read_items_field(FieldReader& step, std::string& agent)
{
    const auto* const node = step.find("for_each");
    const int ways = int(node != nullptr) + int(step.find("matrix") != nullptr) +
                     int(step.find("best_of") != nullptr);
    if (ways > 1) {
        step.error(node != nullptr ? "for_each" : "matrix",
                   "A step has only one of 'for_each', 'matrix' and 'best_of'",
                   "Remove the others.");
        return std::nullopt;
    }
    if (step.find("best_of") != nullptr) return read_best_of(step, agent);
    if (auto matrix = step.within("matrix")) {
        auto items = MatrixReader(*matrix).read();
        matrix->check_keys();
        step.take_wrong("matrix", *matrix);
        return items;
    }
    if (node == nullptr) return std::nullopt;
    WorkflowItems items;
    if (node->kind != YamlNode::Kind::mapping) {
        read_list(step, "for_each", items);
        return items;
    }
    auto fields = step.within("for_each");
    read_list(*fields, "items", items);
    if (const auto count = fields->integer("max_items", 1, static_cast<int>(max_items_limit)))
        items.max_items = static_cast<std::size_t>(*count);
    read_limits(*fields, items);
    fields->check_keys();
    step.take_wrong("for_each", *fields);
    return items;
}

}  // namespace autoexec::workflow
