#include "support/git_project.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <map>
#include <set>

using namespace autoexec::test;

namespace {

namespace json = boost::json;

/// The spans of all lines, in their order.
std::vector<json::object> spans_of(const Ended& ended)
{
    CHECK_MESSAGE(ended.code == 0, ended.err);
    std::vector<json::object> spans;
    for (const auto& line : objects_of(ended.out))
        for (const auto& resource : line.at("resourceSpans").as_array())
            for (const auto& scope : resource.at("scopeSpans").as_array())
                for (const auto& span : scope.at("spans").as_array())
                    spans.push_back(span.as_object());
    return spans;
}

/// The names, sorted, each indented below its parent's.
Words tree_of(const std::vector<json::object>& spans, const std::string& parent = {},
              std::size_t depth = 0)
{
    std::map<std::string, Words> children;
    Words tree;
    for (const auto& span : spans) {
        const auto above = span.contains("parentSpanId") ? text_at(span, "parentSpanId") : "";
        if (above != parent) continue;
        Words part{std::string(depth, ' ') + text_at(span, "name")};
        const auto below = tree_of(spans, text_at(span, "spanId"), depth + 1);
        part.insert(part.end(), below.begin(), below.end());
        auto& same = children[text_at(span, "name")];
        same.insert(same.end(), part.begin(), part.end());
    }
    for (const auto& [name, part] : children) tree.insert(tree.end(), part.begin(), part.end());
    return tree;
}

/// `TRACE-SPAN` of each.
std::set<std::string> contexts_of(const std::vector<json::object>& spans)
{
    std::set<std::string> ids;
    for (const auto& span : spans)
        ids.insert(text_at(span, "traceId") + '-' + text_at(span, "spanId"));
    return ids;
}

}  // namespace

TEST_CASE(
    "the trace of a run has its steps, attempts, gates and merge, and programs see their spans")
{
    GitProject project;
    project.set("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    project.committed_steps({"id: a, agent: a, action: a",
                             "id: b, agent: b, action: b, depends_on: [a], results: r.json, "
                             "gate: {condition: ok, on_fail: retry}"});
    const std::string note = "printf '%s\\n' \"$TRACEPARENT\" >>\"$stage/traces\"\n";
    project.on("a", note + "test $AUTOEXEC_ATTEMPT = 2 || exit 75\necho x >a.txt\n");
    project.on("b", note +
                        "test $tries -eq 2 && ok=true || ok=false\n"
                        "echo \"{\\\"ok\\\": $ok}\" >$results\n");
    const auto ended = project.go({"--retry", "1"});
    CHECK_MESSAGE(ended.code == 0, ended.err);

    const auto exported = project.run({"trace"});
    const auto spans = spans_of(exported);
    CHECK(tree_of(spans) == Words{"workflow", " merge", " step a", "  attempt", "  attempt",
                                  " step b", "  attempt", "  gate b", " step b", "  attempt",
                                  "  gate b"});
    std::set<std::string> traces;
    for (const auto& span : spans) traces.insert(text_at(span, "traceId"));
    CHECK(traces.size() == 1);

    const auto seen = lines_of(read_file(project.stage() / "traces"));
    REQUIRE(seen.size() == 4);
    const auto contexts = contexts_of(spans);
    CHECK(contexts.size() == spans.size());
    for (const auto& parent : seen) {
        REQUIRE(parent.size() == 55);
        CHECK_MESSAGE(contexts.contains(parent.substr(3, 49)), parent);
    }
    CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 4);

    CHECK(project.run({"trace"}).out == exported.out);
    const auto id = text_at(project.newest_run(), "run_id");
    CHECK(contexts_of(spans_of(project.run({"trace", "--run", id}))) == contexts);
    CHECK(project.run({"trace", "--run", "no-such-run"}).code == 2);
}

TEST_CASE("the trace of a command has its attempts, and one of another time is left out")
{
    Project project;
    const auto ended = project.run(
        {"run", "--retry", "1",
         "echo $TRACEPARENT >>seen; test $AUTOEXEC_ATTEMPT = 2 || exit 75 # \xc2\x85\xe2\x80\xae"});
    CHECK_MESSAGE(ended.code == 0, ended.err);
    const auto spans = spans_of(project.run({"trace", "--since", "1h"}));
    CHECK(tree_of(spans) == Words{"command", " attempt", " attempt"});
    CHECK(contains(json::serialize(spans[0]), "exit 75 # \xc2\x85\xe2\x80\xae"));
    const auto contexts = contexts_of(spans);
    for (const auto& parent : lines_of(read_file(project.root() / "seen")))
        CHECK_MESSAGE(contexts.contains(parent.substr(3, 49)), parent);

    CHECK(project.run({"trace", "--since", "2100-01-01"}).out.empty());
    CHECK(project.run({"trace", "--since", "1h", "--run", "x"}).code == 2);
}

TEST_CASE("what has not ended is in no trace, but its run is named")
{
    WorkflowProject project;
    project.steps({"id: a, agent: a, action: a", "id: b, agent: b, action: b, depends_on: [a]"});
    project.on("b", "until test -e \"$stage/go\"; do sleep 0.02; done");
    Program workflow(project.start_workflow());
    project.wait_until_asked("b");
    const auto other = project.worktree("other");
    Program command(project.start({"run", "--agent", "shell", "-w", other, "--retry", "1",
                                   "test $AUTOEXEC_ATTEMPT = 1 && exit 75; "
                                   "until test -e go; do sleep 0.02; done"}));
    REQUIRE(eventually([&] { return project.metrics().size() == 2; }));
    (void)project.wait_for_running(2);
    CHECK(project.run({"trace"}).out.empty());
    const auto id = text_at(project.newest_run(), "run_id");
    const auto refused = project.run({"trace", "--run", id});
    CHECK(refused.code == 2);
    CHECK(contains(refused.err, "run " + id + " has not ended"));

    write_file(project.stage() / "go", "");
    write_file(other / "go", "");
    CHECK(workflow.wait().code == 0);
    CHECK(command.wait().code == 0);
    CHECK(tree_of(spans_of(project.run({"trace"}))) == Words{"command", " attempt", " attempt",
                                                             "workflow", " step a", "  attempt",
                                                             " step b", "  attempt"});
}
