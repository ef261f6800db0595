#pragma once

#include "workflow/plan/plan.hpp"
#include "yaml/report.hpp"
#include "yaml/yaml.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::workflow {

/// Where the parts of a workflow stand in its file.
///
/// Lifetime: the nodes must outlive it.
class SourceMap {
public:
    explicit SourceMap(const yaml::YamlNode& workflow) : workflow_(workflow) {}

    /// `wrong` are fields that have been complained of already.
    void add_step(const yaml::YamlNode& node, std::vector<std::string> wrong)
    {
        steps_.push_back({&node, std::move(wrong)});
    }
    /// The same for the workflow's own fields.
    void set_wrong(std::vector<std::string> wrong) { wrong_ = std::move(wrong); }
    /// There are steps of which the id is not known.
    void lack_ids() { lacks_ids_ = true; }
    /// The step's condition is not the one in the file.
    void rewrite_condition(std::size_t step) { steps_[step].rewritten = true; }

    /// The nearest that is there: a gate for one of its fields, the step for a gate.
    [[nodiscard]] yaml::Position of(const PlanProblem& problem, const yaml::Report& report) const;
    [[nodiscard]] yaml::Position of_parameter(std::string_view name) const;

    /// Whether it only follows from what has been complained of.
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

}  // namespace autoexec::workflow
