#pragma once

#include "workflow/plan/plan.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::workflow {

/// The positions of a workflow's parts in its file.
///
/// Lifetime: the nodes must outlive it.
class SourceMap {
public:
    explicit SourceMap(const yaml::YamlNode& workflow) : workflow_(workflow) {}

    /// `wrong`: fields that were reported already.
    void add_step(const yaml::YamlNode& node, std::vector<std::string> wrong)
    {
        steps_.push_back({&node, std::move(wrong)});
    }
    /// The same for the workflow's own fields.
    void set_wrong(std::vector<std::string> wrong) { wrong_ = std::move(wrong); }
    /// Some steps have no valid id.
    void lack_ids() { lacks_ids_ = true; }
    /// The step's condition differs from the text in the file.
    void rewrite_condition(std::size_t step) { steps_[step].rewritten = true; }

    /// The position of the field, or of the nearest part that exists: the gate, or the step.
    [[nodiscard]] yaml::Position of(const PlanProblem& problem, const yaml::Report& report) const;
    [[nodiscard]] yaml::Position of_parameter(std::string_view name) const;

    /// Whether the problem only follows from one that was reported.
    [[nodiscard]] bool follows(const PlanProblem& problem) const;

private:
    struct Step {
        const yaml::YamlNode* node = nullptr;
        std::vector<std::string> wrong;
        bool rewritten = false;
    };

    const yaml::YamlNode& workflow_;
    std::vector<Step> steps_;
    std::vector<std::string> wrong_;
    bool lacks_ids_ = false;
};

/// A workflow, with the positions in its file.
struct Definition {
    Workflow workflow;
    SourceMap source_map;
};

/// Checks types and structure; errors go into `report`. Empty if the file is not a workflow.
/// `root` must outlive the result.
std::optional<Definition> read_definition(const yaml::YamlNode& root, yaml::Report& report);

}  // namespace autoexec::workflow
