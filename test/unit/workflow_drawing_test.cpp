#include "autoexec/error.hpp"
#include "support/workflows.hpp"
#include "workflow/plan/placeholders.hpp"

#include <doctest/doctest.h>

using namespace autoexec;
using namespace autoexec::test;
using Lines = std::vector<std::string>;

namespace {

Workflow example()
{
    auto write = step("write");
    write.creates = {"src/"};
    auto review = step("review");
    review.needs = {"src"};
    review.gate = gate("round >= 2", to("write"));
    review.results = "r.json";
    auto odd = step("an \"odd\"; id]", {"review"});
    odd.needs = {"README"};
    return workflow_of({write, review, odd});
}

}  // namespace

TEST_CASE("a plan is drawn as text, level by level")
{
    CHECK(draw_workflow(example(), WorkflowDrawing::text) ==
          "w: 3 steps in 3 levels\n"
          "\n"
          "level 1\n"
          "  write  true\n"
          "      creates src/\n"
          "\n"
          "level 2\n"
          "  review  true\n"
          "      after write\n"
          "      gate round >= 2: pass → next, fail → back to write, 3 rounds at most\n"
          "\n"
          "level 3\n"
          "  an \"odd\"; id]  true\n"
          "      after review\n"
          "      requires of the repository: README\n"
          "\n"
          "Longest chain: write → review → an \"odd\"; id]\n");
}

TEST_CASE("a plan is drawn for Graphviz, whatever is in its ids")
{
    CHECK(draw_workflow(example(), WorkflowDrawing::dot) ==
          "digraph \"w\" {\n"
          "    rankdir=LR;\n"
          "    node [shape=box];\n"
          "    s0 [label=\"write\"];\n"
          "    s1 [label=\"review\", shape=hexagon];\n"
          "    s2 [label=\"an \\\"odd\\\"; id]\"];\n"
          "    s0 -> s1 [label=\"src\"];\n"
          "    s1 -> s2 [label=\"\"];\n"
          "    s1 -> s0 [label=\"fail\", style=dashed, constraint=false];\n"
          "}\n");
}

TEST_CASE("a plan is drawn for Mermaid, whatever is in its ids")
{
    CHECK(draw_workflow(example(), WorkflowDrawing::mermaid) ==
          "flowchart LR\n"
          "    s0[\"write\"]\n"
          "    s1{{\"review\"}}\n"
          "    s2[\"an #34;odd#34;#59; id#93;\"]\n"
          "    s0 -->|\"src\"| s1\n"
          "    s1 --> s2\n"
          "    s1 -.->|\"fail\"| s0\n");
}

TEST_CASE("a workflow that cannot run is not drawn")
{
    CHECK_THROWS_WITH_AS(draw_workflow(workflow_of({step("a", {"b"})}), WorkflowDrawing::text),
                         doctest::Contains("There is no step 'b'"), system_error);
}

TEST_CASE("placeholders are replaced by values, in which none are replaced")
{
    const boost::json::object params{
        {"a", "{params.b}"}, {"b", 7}, {"c-d", true}, {"none", nullptr}};
    CHECK(workflow::fill_placeholders("{params.a} {params.b}{params.c-d}", params) ==
          "{params.b} 7true");
    CHECK(workflow::fill_placeholders("{params.none} {params.other} {params.} {params.a", params) ==
          "{params.none} {params.other} {params.} {params.a");
    Lines names;
    for (const auto& one :
         workflow::placeholders_in("x{params.a}{params.}{params.b c}{{params.b}}"))
        names.push_back(one.name);
    CHECK(names == Lines{"a", "b"});
}
