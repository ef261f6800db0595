#include "support/memory_handoff.hpp"

#include <utility>

namespace autoexec::test {

MemoryTree::MemoryTree() = default;

MemoryTree::~MemoryTree() = default;

FoundFile MemoryTree::file(std::string text)
{
    FoundFile f;
    f.state = FoundFile::State::present;
    f.text = std::move(text);
    f.stamp.inode = ++changes;
    return f;
}

const std::string& MemoryTree::attempt_id() const
{
    return published.back().attempt_id;
}

void MemoryTree::take()
{
    claims[attempt_id()] = ClaimState::live;
}

AgentStatus MemoryTree::status(ReportedStatus word) const
{
    AgentStatus s;
    s.structured = true;
    s.status = word;
    s.attempt_id = attempt_id();
    s.execution_id = published.back().execution_id;
    return s;
}

void MemoryTree::write(const AgentStatus& s)
{
    root_status = file(protocol::format_status(s));
}

void MemoryTree::write_text(std::string text)
{
    root_status = file(std::move(text));
}

void MemoryTree::report(AgentStatus s)
{
    write(s);
    if (claims.contains(attempt_id())) claims[attempt_id()] = ClaimState::free;
}

void MemoryTree::complete()
{
    report(status(ReportedStatus::completed));
}

void MemoryTree::fail(std::string message, std::string code, std::optional<bool> retryable)
{
    auto s = status(ReportedStatus::failed);
    s.error = CommandError{std::move(message), std::move(code), retryable, 0};
    report(std::move(s));
}

void MemoryTree::create(const std::string& path)
{
    artifacts[path].present = true;
    artifacts[path].stamp.inode = ++changes;
}

namespace {

class MemoryMailbox final : public Mailbox {
public:
    explicit MemoryMailbox(std::shared_ptr<MemoryTree> tree) : tree_(std::move(tree)) {}
    ~MemoryMailbox() override;

    error_code try_lock() override;
    std::optional<std::string> live_claim() override;
    error_code prepare() override;
    error_code publish(const PublishedFiles& files, Durability) override;
    std::vector<FoundFile> look() override;
    ClaimState claim(const std::string& attempt_id) override;
    bool offer_again(const std::string&) override { return tree_->command.has_value(); }
    bool command_replaced() override { return tree_->command_replaced; }
    error_code withdraw(const std::string&) override;
    error_code request_stop(const std::string& text) override;
    error_code answer(const std::string& attempt_id, const std::string& text) override;
    error_code clean(const std::string& attempt_id, bool keep_cancel) override;
    bool lost() override { return tree_->gone; }
    ArtifactState artifact(const std::string& path) override;

private:
    std::shared_ptr<MemoryTree> tree_;
    bool holds_lock_ = false;
};

MemoryMailbox::~MemoryMailbox()
{
    if (holds_lock_) tree_->locked = false;
}

error_code MemoryMailbox::try_lock()
{
    if (tree_->lock_error) return tree_->lock_error;
    if (tree_->locked) return errc::worktree_busy;
    tree_->locked = holds_lock_ = true;
    return {};
}

std::optional<std::string> MemoryMailbox::live_claim()
{
    for (const auto& [id, state] : tree_->claims)
        if (state == ClaimState::live) return id;
    return std::nullopt;
}

error_code MemoryMailbox::prepare()
{
    tree_->calls.emplace_back("prepare");
    if (tree_->root_status && tree_->root_status->state == FoundFile::State::present)
        tree_->root_status.reset();
    tree_->other_status.reset();
    tree_->cancel.reset();
    tree_->command.reset();
    return {};
}

error_code MemoryMailbox::publish(const PublishedFiles& files, Durability)
{
    if (tree_->publish_error) return tree_->publish_error;
    tree_->calls.emplace_back("publish");
    std::string problem;
    tree_->command = protocol::parse_command(files.command, problem);
    tree_->command_replaced = false;
    const auto& all = tree_->published;
    const auto& id = tree_->command->attempt_id;
    if (id.empty() || all.empty() || all.back().attempt_id != id)
        tree_->published.push_back(*tree_->command);
    else
        ++tree_->published_again;
    if (tree_->on_publish) tree_->on_publish();
    return {};
}

std::vector<FoundFile> MemoryMailbox::look()
{
    std::vector<FoundFile> found;
    if (tree_->root_status) found.push_back(*tree_->root_status);
    if (tree_->other_status) found.push_back(*tree_->other_status);
    return found;
}

ClaimState MemoryMailbox::claim(const std::string& attempt_id)
{
    const auto found = tree_->claims.find(attempt_id);
    return found == tree_->claims.end() ? ClaimState::none : found->second;
}

error_code MemoryMailbox::withdraw(const std::string&)
{
    tree_->calls.emplace_back("withdraw");
    tree_->command.reset();
    if (tree_->on_withdraw) tree_->on_withdraw();
    return {};
}

error_code MemoryMailbox::request_stop(const std::string& text)
{
    tree_->calls.emplace_back("request_stop");
    if (tree_->stop_error) return tree_->stop_error;
    tree_->cancel = protocol::parse_cancel(text);
    return {};
}

error_code MemoryMailbox::answer(const std::string& attempt_id, const std::string& text)
{
    if (tree_->answer_error) return tree_->answer_error;
    tree_->calls.emplace_back("answer");
    tree_->answer = protocol::parse_answer(text);
    if (tree_->answer && tree_->answer->attempt_id != attempt_id) tree_->answer.reset();
    return {};
}

error_code MemoryMailbox::clean(const std::string& attempt_id, bool keep_cancel)
{
    tree_->calls.emplace_back(keep_cancel ? "clean, keep cancel" : "clean");
    tree_->command.reset();
    if (tree_->root_status && tree_->root_status->state == FoundFile::State::present)
        tree_->root_status.reset();
    tree_->other_status.reset();
    if (keep_cancel) return {};
    tree_->cancel.reset();
    tree_->claims.erase(attempt_id);
    return {};
}

ArtifactState MemoryMailbox::artifact(const std::string& path)
{
    const auto found = tree_->artifacts.find(path);
    return found == tree_->artifacts.end() ? ArtifactState{} : found->second;
}

}  // namespace

MemoryTree& MemoryHandoff::at(const std::string& path)
{
    auto& tree = trees[path];
    if (!tree) tree = std::make_shared<MemoryTree>();
    return *tree;
}

std::unique_ptr<Mailbox> MemoryHandoff::open(const std::filesystem::path& worktree, error_code& ec,
                                             std::string& why)
{
    at(worktree.string());
    auto tree = trees[worktree.string()];
    if (!tree->exists) {
        ec = errc::invalid_worktree;
        why = "The worktree does not exist.";
        return nullptr;
    }
    return std::make_unique<MemoryMailbox>(std::move(tree));
}

}  // namespace autoexec::test
