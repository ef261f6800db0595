#include "handoff/agent_mailbox.hpp"

#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/answers.hpp"
#include "handoff/taken_names.hpp"
#include "protocol/control_files.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>

namespace autoexec::handoff {
namespace {

using files::Links;
using files::UniqueFd;

constexpr std::size_t cancel_limit = 64 * 1024;

// Without an attempt id, only the file itself identifies the command.
std::string claim_id_of(const AgentMailbox::Found& found)
{
    if (!found.command.attempt_id.empty()) return found.command.attempt_id;
    return fmt::format("{}-{}", found.stamp.inode, found.stamp.modified_ns);
}

std::string claim_text(const AgentMailbox::Found& found, const std::string& agent_id,
                       const std::filesystem::path& worktree)
{
    protocol::ClaimFile claim;
    claim.ids() = found.command.ids();
    claim.agent_id = agent_id;
    claim.worktree = worktree.string();
    claim.host = host_name();
    claim.pid = process_id();
    claim.claimed_at = std::chrono::system_clock::now();
    return protocol::format_claim(claim);
}

}  // namespace

AgentMailbox::AgentMailbox(std::filesystem::path worktree, UniqueFd folder, std::string status_name,
                           Trust trust)
    : worktree_(std::move(worktree)),
      trust_(std::move(trust)),
      folder_(std::move(folder)),
      status_name_(std::move(status_name))
{
    if (::fstat(folder_.get(), &identity_) == 0) owners_.push_back(identity_.st_uid);
}

AgentMailbox::~AgentMailbox()
{
    // Not released: the program may still run.
    if (claim_ && trust_.offers) trust_.offers->forget_claim(folder_id(identity_), claim_id_);
}

std::unique_ptr<AgentMailbox> AgentMailbox::open(const std::filesystem::path& worktree,
                                                 std::string status_file_name, Trust trust)
{
    UniqueFd folder(::open(worktree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return nullptr;
    return std::unique_ptr<AgentMailbox>(new AgentMailbox(
        worktree, std::move(folder), std::move(status_file_name), std::move(trust)));
}

bool AgentMailbox::may_have_command(const std::filesystem::path& worktree)
{
    struct stat st {};
    return ::lstat((worktree / control_files::command).c_str(), &st) == 0 || errno != ENOENT;
}

AgentMailbox::Found AgentMailbox::find(bool accept_legacy)
{
    Found found;
    auto file = files::read_regular(folder_.get(), control_files::command,
                                    protocol::command_file_limit, owners_);
    record(file.reason);
    if (file.state == FoundFile::State::absent) return found;
    found.stamp = file.stamp;
    found.state = Found::State::foreign;
    if (file.state != FoundFile::State::present) {
        found.problem = "the command file is not read: " + file.problem;
        return found;
    }
    auto command = protocol::parse_command(file.text, found.problem);
    if (!command) return found;
    const bool legacy = command->attempt_id.empty();
    found.command = std::move(*command);
    found.digest = text::sha256_hex(file.text);
    if (const auto shortage = find_git_dir()) {
        record(shortage);
        found.problem = "its worktree cannot be read now: " + shortage.message();
        return found;
    }
    if (legacy && !accept_legacy) {
        found.problem =
            "it has no attempt id; set global.accept_legacy to accept executors that hold no lock";
        return found;
    }
    if (!legacy && !executor_holds_lock(folder_.get(), git_dir_)) {
        found.problem = "it is a left-over: no executor holds the worktree";
        return found;
    }
    // Checked after the lock: an executor starts to offer before it takes the lock.
    if (offer_of(found) == OfferState::refused) {
        found.problem = "the executor that holds the worktree has not published it";
        return found;
    }
    found.state = Found::State::command;
    return found;
}

// Once: the claim is made, and the command looked at again, in the same place.
error_code AgentMailbox::find_git_dir()
{
    if (git_dir_known_) return {};
    error_code shortage;
    if (auto tree = git_files::find_tree_in(trust_.common_dir, worktree_, shortage))
        git_dir_ = std::move(tree->git_dir);
    git_dir_known_ = !shortage;
    return shortage;
}

OfferState AgentMailbox::offer_of(const Found& found) const
{
    const auto& id = found.command.attempt_id;
    if (trust_.offers) {
        const auto state = trust_.offers->state(folder_id(identity_), id, found.digest);
        if (state != OfferState::unknown) return state;
    }
    return offer_state(git_dir_, identity_, id, found.digest, owners_);
}

bool AgentMailbox::claim(const Found& found, const std::string& agent_id)
{
    // Reopened: an executor removes an empty claims folder when it releases the worktree.
    open_claims();
    if (!claims_) return false;
    error_code ec;
    claim_id_ = claim_id_of(found);
    claim_ = Claim::create(claims_.get(), claim_id_,
                           claim_text(found, agent_id, std::filesystem::absolute(worktree_)), ec);
    record(ec);
    if (!claim_) return false;

    if (is_still_published(found) && !cancel_reason(found.command)) {
        hand_over_claim();
        return true;
    }
    claim_->drop(claims_.get(), claim_id_);
    claim_.reset();
    return false;
}

// The same bytes, by the rules of `find`. The file of the offer is not read again, because an
// executor removes the command file before it.
bool AgentMailbox::is_still_published(const Found& found)
{
    const auto file = files::read_regular(folder_.get(), control_files::command,
                                          protocol::command_file_limit, owners_);
    record(file.reason);
    if (file.state != FoundFile::State::present || file.stamp.inode != found.stamp.inode ||
        file.stamp.modified_ns != found.stamp.modified_ns ||
        text::sha256_hex(file.text) != found.digest)
        return false;
    const auto& id = found.command.attempt_id;
    if (!id.empty() && !executor_holds_lock(folder_.get(), git_dir_)) return false;
    return !trust_.offers ||
           trust_.offers->state(folder_id(identity_), id, found.digest) != OfferState::refused;
}

void AgentMailbox::hand_over_claim() const
{
    if (trust_.offers) trust_.offers->hand_over(folder_id(identity_), claim_id_);
}

std::optional<std::string> AgentMailbox::cancel_reason(const protocol::CommandFile& command)
{
    const auto file =
        files::read_regular(folder_.get(), control_files::cancel, cancel_limit, owners_);
    if (file.state != FoundFile::State::present) return std::nullopt;
    auto cancel = protocol::parse_cancel(file.text);
    if (!cancel || cancel->attempt_id != command.attempt_id) return std::nullopt;
    if (cancel->reason == "timeout" || cancel->reason == "interrupted") return cancel->reason;
    return "cancelled";
}

std::optional<protocol::AnswerFile> AgentMailbox::take_answer(const std::string& attempt_id)
{
    std::optional<std::string> text;
    if (trust_.offers) text = trust_.offers->take_answer(folder_id(identity_), attempt_id);
    if (!text) text = take_answer_file(git_dir_, attempt_id, owners_);
    auto file = protocol::parse_answer(*text);
    if (file && file->attempt_id != attempt_id) file.reset();
    return file;
}

error_code AgentMailbox::write_status(const std::string& text)
{
    const auto write = [&] {
        return replace_control_file(folder_.get(), status_name_, text, 0600, Durability::process);
    };
    auto ec = write();
    if (claims_ && files::is_resource_shortage(ec)) {
        claims_ = UniqueFd();
        ec = write();
        open_claims();
    }
    // An executor may have removed the temporary file meanwhile.
    return ec == boost::system::errc::no_such_file_or_directory ? write() : ec;
}

bool AgentMailbox::report_shortage() const
{
    return trust_.offers && trust_.offers->report_shortage(folder_id(identity_));
}

void AgentMailbox::record(error_code ec)
{
    lacks_resources_ = files::is_resource_shortage(ec);
}

void AgentMailbox::open_claims()
{
    error_code ec;
    claims_ = open_claims_folder(folder_.get(), git_dir_, ec);
    record(ec);
}

void AgentMailbox::remove_command(const Found& found)
{
    struct stat st {};
    if (::fstatat(folder_.get(), control_files::command, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        files::stamp_of(st).inode == found.stamp.inode)
        (void)files::remove_file(folder_.get(), control_files::command);
}

void AgentMailbox::release(bool forget)
{
    if (!claim_) return;
    if (forget && !claims_) open_claims();
    if (forget)
        claim_->drop(claims_.get(), claim_id_);
    else
        claim_->release();
    claim_.reset();
    if (trust_.offers) trust_.offers->release(folder_id(identity_), claim_id_);
}

std::optional<int> AgentMailbox::claim_descriptor() const
{
    return claim_ ? std::optional(claim_->descriptor()) : std::nullopt;
}

bool AgentMailbox::lost() const
{
    struct stat named {};
    return ::stat(worktree_.c_str(), &named) != 0 || folder_id(named) != folder_id(identity_);
}

bool AgentMailbox::has_artifact(const std::string& path) const
{
    error_code ec;
    return static_cast<bool>(files::open_beneath(folder_.get(), path, O_PATH, Links::inside, ec));
}

}  // namespace autoexec::handoff
