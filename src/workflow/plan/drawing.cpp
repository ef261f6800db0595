#include "autoexec/error.hpp"
#include "text/text.hpp"
#include "workflow/plan/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

/// Draws a plan as text, and for Graphviz and Mermaid.
namespace autoexec::inline v1 {
namespace {

using workflow::Exit;
using workflow::Plan;

/// An arrow with its label.
struct Arrow {
    std::size_t from = 0;
    std::size_t to = 0;
    std::string label;
    bool back = false;
};

// Only the strongest reason: an arrow for each would hide the graph.
std::string label_of(const Plan& plan, std::size_t from, std::size_t to)
{
    const auto& step = plan.steps[to];
    std::string ways;
    for (const auto& entry : step.entries)
        if (entry.from == from && plan.steps[from].has_gate)
            ways +=
                std::string(ways.empty() ? "" : ", ") + (entry.by == Exit::pass ? "pass" : "fail");
    if (!ways.empty()) return ways;
    for (const auto& need : step.artifacts)
        if (std::ranges::count(need.creators, from) > 0) return need.artifact;
    return {};
}

std::vector<Arrow> arrows_of(const Plan& plan)
{
    std::vector<Arrow> arrows;
    for (std::size_t to = 0; to < plan.steps.size(); ++to)
        for (const auto from : plan.steps[to].waits_for)
            arrows.push_back({from, to, label_of(plan, from, to), false});
    for (std::size_t from = 0; from < plan.steps.size(); ++from)
        if (plan.steps[from].back_to)
            arrows.push_back({from, *plan.steps[from].back_to, "fail", true});
    return arrows;
}

std::string what_is_run(const WorkflowStep& step)
{
    std::string what;
    if (!step.uses.empty())
        what = "uses " + step.uses;
    else if (!step.argv.empty())
        what = text::quote_words(step.argv);
    else if (!step.command.empty())
        what = step.command;
    else if (!step.action.empty())
        what = step.agent + "/" + step.action;
    if (!step.manual) return what;
    const auto by = step.manual->by.empty() ? "a person" : step.manual->by;
    return what.empty() ? by : fmt::format("{}: {}", by, what);
}

class Text {
public:
    Text(const Workflow& workflow, const Plan& plan) : workflow_(workflow), plan_(plan) {}

    std::string draw()
    {
        std::size_t levels = 0;
        for (const auto& step : plan_.steps) levels = std::max(levels, step.level + 1);
        line("{}: {} in {}", workflow_.name.empty() ? workflow_.id : workflow_.name,
             text::counted(plan_.steps.size(), "step"), text::counted(levels, "level"));
        for (std::size_t level = 0; level < levels; ++level) {
            line("");
            line("level {}", level + 1);
            for (std::size_t i = 0; i < plan_.steps.size(); ++i)
                if (plan_.steps[i].level == level) draw_step(i);
        }
        line("");
        line("Longest chain: {}", ids(plan_.longest_chain, " → "));
        return std::move(text_);
    }

private:
    template <class... T>
    void line(fmt::format_string<T...> format, T&&... values)
    {
        text_ += text::printable(fmt::format(format, std::forward<T>(values)...)) + "\n";
    }

    void draw_step(std::size_t i)
    {
        const auto& step = workflow_.steps[i];
        const auto& plan = plan_.steps[i];
        line("  {}  {}", step.id, what_is_run(step));
        if (!plan.waits_for.empty()) line("      after {}", ids(plan.waits_for, ", "));
        if (!step.condition.empty()) line("      if {}", step.condition);
        if (step.phase == StepPhase::on_failure) line("      if a step has failed");
        if (step.phase == StepPhase::finally) line("      in any case, at the end");
        if (step.for_each) line("      for each of {}", items_of(*step.for_each));
        if (!plan.from_repository.empty())
            line("      requires of the repository: {}", fmt::join(plan.from_repository, ", "));
        if (!step.creates.empty()) line("      creates {}", fmt::join(step.creates, ", "));
        if (!step.gate) return;
        const auto rounds = text::counted(static_cast<std::size_t>(plan.max_rounds), "round");
        const auto back = plan.back_to
                              ? fmt::format("back to {}, {} at most", id(*plan.back_to), rounds)
                              : target(step.gate->on_fail, plan.fail_to);
        line("      gate{}{}: pass → {}, fail → {}", step.gate->condition.empty() ? "" : " ",
             step.gate->condition, target(step.gate->on_pass, plan.pass_to), back);
    }

    static std::string items_of(const WorkflowItems& items)
    {
        if (!items.source.empty()) return items.source;
        return text::counted(items.list.size(), "item");
    }

    std::string target(const GateTarget& target, std::optional<std::size_t> to) const
    {
        if (to) return id(*to);
        if (target.kind == GateTarget::Kind::end) return "the end";
        return target.kind == GateTarget::Kind::fail ? "failed" : "next";
    }

    const std::string& id(std::size_t i) const { return workflow_.steps[i].id; }

    std::string ids(const std::vector<std::size_t>& steps, std::string_view between) const
    {
        std::vector<std::string_view> all;
        for (const auto i : steps) all.push_back(id(i));
        return fmt::to_string(fmt::join(all, between));
    }

    const Workflow& workflow_;
    const Plan& plan_;
    std::string text_;
};

std::string node_label(const WorkflowStep& step)
{
    return step.uses.empty() ? step.id : fmt::format("{} ({})", step.id, step.uses);
}

// Escapes quotes and whatever would end a label.
std::string dot_text(std::string_view text)
{
    std::string out;
    for (const char c : text::printable(text)) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string draw_dot(const Workflow& workflow, const Plan& plan)
{
    auto out = fmt::format("digraph \"{}\" {{\n    rankdir=LR;\n    node [shape=box];\n",
                           dot_text(workflow.id));
    for (std::size_t i = 0; i < plan.steps.size(); ++i)
        out +=
            fmt::format("    s{} [label=\"{}\"{}];\n", i, dot_text(node_label(workflow.steps[i])),
                        plan.steps[i].has_gate ? ", shape=hexagon" : "");
    for (const auto& arrow : arrows_of(plan))
        out += fmt::format("    s{} -> s{} [label=\"{}\"{}];\n", arrow.from, arrow.to,
                           dot_text(arrow.label),
                           arrow.back ? ", style=dashed, constraint=false" : "");
    return out + "}\n";
}

std::string mermaid_text(std::string_view text)
{
    std::string out;
    for (const char c : text::printable(text)) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = text::is_letter_or_digit(c) || byte >= 0x80 ||
                           std::string_view(" ./-_").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c) : fmt::format("#{};", int(byte));
    }
    return out;
}

std::string draw_mermaid(const Workflow& workflow, const Plan& plan)
{
    std::string out = "flowchart LR\n";
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        const auto id = mermaid_text(node_label(workflow.steps[i]));
        out += plan.steps[i].has_gate ? fmt::format("    s{}{{{{\"{}\"}}}}\n", i, id)
                                      : fmt::format("    s{}[\"{}\"]\n", i, id);
    }
    for (const auto& arrow : arrows_of(plan))
        out += fmt::format("    s{} {}{} s{}\n", arrow.from, arrow.back ? "-.->" : "-->",
                           arrow.label.empty() ? std::string()
                                               : fmt::format("|\"{}\"|", mermaid_text(arrow.label)),
                           arrow.to);
    return out;
}

}  // namespace

std::string draw_workflow(const Workflow& workflow, WorkflowDrawing as)
{
    std::vector<workflow::PlanProblem> problems;
    const auto plan = workflow::make_plan(workflow, problems);
    const auto errors = workflow::sentences_for(workflow, problems);
    if (!errors.empty())
        throw system_error(errc::invalid_workflow, fmt::format("{}\n", fmt::join(errors, "\n")));
    return workflow::draw_plan(workflow, plan, as);
}

}  // namespace autoexec::inline v1

namespace autoexec::workflow {

std::string draw_plan(const Workflow& workflow, const Plan& plan, WorkflowDrawing as)
{
    if (as == WorkflowDrawing::dot) return draw_dot(workflow, plan);
    if (as == WorkflowDrawing::mermaid) return draw_mermaid(workflow, plan);
    return Text(workflow, plan).draw();
}

}  // namespace autoexec::workflow
