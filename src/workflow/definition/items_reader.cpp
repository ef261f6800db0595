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

/// Reads `best_of`: the same command several times, by one agent or by several, with one model or
/// with several.
class TriesReader {
public:
    TriesReader(FieldReader& step, std::string& agent, std::string& model)
        : step_(step), agent_(agent), model_(model)
    {
        items_.best_by = "score";
    }

    WorkflowItems read()
    {
        if (step_.find("best_of")->kind != YamlNode::Kind::mapping) {
            count(step_.integer("best_of", 2, max_best_of));
            return std::move(items_);
        }
        auto fields = step_.within("best_of");
        read_mapping(*fields);
        fields->check_keys();
        step_.take_wrong("best_of", *fields);
        return std::move(items_);
    }

private:
    struct Runner {
        std::string agent;
        std::string model;
    };

    void count(std::optional<int> tries)
    {
        for (int k = 1; tries && k <= *tries; ++k) items_.list.emplace_back(k);
    }

    void read_mapping(FieldReader& fields)
    {
        const auto tries = fields.integer("count", 2, max_best_of);
        const auto agents = read_agents(fields);
        const auto models = fields.texts("models");
        if (auto name = fields.text("by"); name && !name->empty())
            items_.best_by = *std::move(name);
        items_.max_parallel = static_cast<std::size_t>(
            fields.integer("max_parallel", 0, max_items_at_once).value_or(0));
        const bool has_names = !agents.empty() || !models.empty();
        if (fields.wrong().empty() && tries.has_value() == has_names)
            return fields.error(fields.node().at, "Give either 'count', or 'agents' and 'models'");
        if (!agents.empty() && !agent_.empty())
            fields.error("agents", "The step has an 'agent', too", "Remove one of them.");
        count(tries);
        if (has_names) list(fields, agents, models);
    }

    static std::vector<Runner> read_agents(FieldReader& fields)
    {
        std::vector<Runner> agents;
        const auto* const node = fields.find("agents");
        if (node == nullptr) return agents;
        const bool is_list = node->kind == YamlNode::Kind::sequence;
        for (std::size_t k = 0; k < (is_list ? node->items.size() : 1); ++k) {
            const auto& item = is_list ? node->items[k] : *node;
            if (item.kind == YamlNode::Kind::mapping) {
                auto named = fields.of_item(item, fmt::format("agents[{}]", k + 1));
                (void)named.require("agent");
                agents.push_back(
                    {named.text("agent").value_or(""), named.text("model").value_or("")});
                named.check_keys();
                fields.take_wrong("agents", named);
            } else if (auto name = item.as_string()) {
                agents.push_back({*std::move(name), {}});
            } else {
                fields.wrong_type(fmt::format("agents[{}]", k + 1), item,
                                  "the name of an agent, or a mapping of 'agent' and 'model'");
                fields.mark_wrong("agents");
            }
        }
        return agents;
    }

    // Without models, an item is the name of its agent.
    void list(FieldReader& fields, const std::vector<Runner>& agents,
              const std::vector<std::string>& models)
    {
        const auto with_model = static_cast<std::size_t>(std::ranges::count_if(
            agents, [](const Runner& runner) { return !runner.model.empty(); }));
        const bool has_models = with_model > 0 || !models.empty();
        if (has_models && !model_.empty())
            fields.error(fields.node().at, "The step has a 'model', too", "Remove one of them.");
        if (with_model > 0 && (with_model < agents.size() || !models.empty()))
            fields.error("agents", "Either each agent has a 'model', or none",
                         "With 'models', each agent runs with each of them.");
        const auto all =
            std::max<std::size_t>(agents.size(), 1) * std::max<std::size_t>(models.size(), 1);
        if (all > max_best_of)
            fields.error(
                models.empty() ? "agents" : "models",
                fmt::format("There are {} tries; at most {} are allowed", all, max_best_of));
        if (!fields.wrong().empty()) return;
        if (!agents.empty()) agent_ = has_models ? "{item.agent}" : "{item}";
        if (has_models) model_ = "{item.model}";
        for (const auto& runner : agents) {
            if (!has_models) items_.list.emplace_back(runner.agent);
            if (with_model > 0) add(runner.agent, runner.model);
            for (const auto& model : models) add(runner.agent, model);
        }
        if (!agents.empty()) return;
        for (const auto& model : models) add({}, model);
    }

    void add(const std::string& agent, const std::string& model)
    {
        json::object item{{"model", model}};
        if (!agent.empty()) item["agent"] = agent;
        items_.list.push_back(std::move(item));
    }

    FieldReader& step_;
    std::string& agent_;
    std::string& model_;
    WorkflowItems items_;
};

}  // namespace

std::optional<WorkflowItems> read_items_field(FieldReader& step, std::string& agent,
                                              std::string& model)
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
    if (step.find("best_of") != nullptr) return TriesReader(step, agent, model).read();
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
