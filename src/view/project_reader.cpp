#include "autoexec/view.hpp"

#include "view/project_view.hpp"
#include "workflow/journal/journal.hpp"

#include <utility>

namespace autoexec::inline v1 {

struct ProjectReader::Impl {
    explicit Impl(ProjectReaderOptions o)
        : root(o.project_root.empty() ? std::filesystem::current_path() : o.project_root), view(o)
    {}

    std::filesystem::path root;
    view::ProjectView view;
};

ProjectReader::ProjectReader(ProjectReaderOptions options)
    : impl_(std::make_unique<Impl>(std::move(options)))
{}

ProjectReader::~ProjectReader() = default;
ProjectReader::ProjectReader(ProjectReader&&) noexcept = default;
ProjectReader& ProjectReader::operator=(ProjectReader&&) noexcept = default;

bool ProjectReader::refresh()
{
    impl_->view.begin_sweep();
    while (impl_->view.step()) {
    }
    return impl_->view.commit();
}

ProjectState ProjectReader::state() const
{
    return impl_->view.state();
}

ViewPosition ProjectReader::position() const noexcept
{
    return impl_->view.position();
}

ProjectChanges ProjectReader::changes_since(const ViewPosition& earlier) const
{
    return impl_->view.changes_since(earlier);
}

std::vector<std::string> ProjectReader::run_ids() const
{
    return workflow::list_runs(impl_->root);
}

std::optional<RunEntry> ProjectReader::read_run(std::string_view run_id, std::string& problem) const
{
    auto run = workflow::read_run(impl_->root, run_id, problem);
    if (!run) return std::nullopt;
    run->alive = run->alive && run->status == WorkflowStatus::running;
    return std::move(static_cast<RunEntry&>(*run));
}

}  // namespace autoexec::inline v1
