#pragma once

#include "agent/os/Sha256.h"

#include <map>
#include <string>

// What forges deliver, as their public documentation has it, with the members that matter and some that don't.
namespace agent::test
{

inline const std::string hookCommit = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c";
inline const std::string noCommit(40, '0');

/// What differs from one delivery to another.
struct HookFacts
{
    std::string repository = "acme/payment";
    std::string ref = "refs/heads/main";
    std::string commit = hookCommit;
    std::string message = "Fix all the bugs";
    std::string action = "opened"; ///< of a pull request
    std::string head = "feature/x";
    std::string headRepository = "acme/payment"; ///< empty: it is gone
    bool deleted = false;
    bool draft = false;
};

inline std::string boolean(bool value)
{
    return value ? "true" : "false";
}

/// GitHub's and Gitea's.
inline std::string repositoryJson(const std::string& name, const std::string& host)
{
    return R"({"id":186853002,"name":"x","full_name":")" + name + R"(","private":true,)" +
           R"("owner":{"login":"acme","id":21031067},"html_url":"https://)" + host + "/" + name +
           R"(","clone_url":"https://)" + host + "/" + name + R"(.git","ssh_url":"git@)" + host +
           ":" + name + R"(.git","default_branch":"main"})";
}

inline std::string pushJson(const HookFacts& facts, const std::string& host = "git.example.org")
{
    const std::string head =
        facts.deleted ? "null"
                      : R"({"id":")" + hookCommit + R"(","message":")" + facts.message +
                            R"(","timestamp":"2026-11-27T15:20:41+01:00","author":{"name":"Ada",)" +
                            R"("email":"ada@example.org","username":"ada"},"added":["a"]})";
    return R"({"ref":")" + facts.ref + R"(","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246",)" +
           R"("after":")" + (facts.deleted ? noCommit : facts.commit) + R"(","created":false,)" +
           R"("deleted":)" + boolean(facts.deleted) + R"(,"forced":false,"base_ref":null,)" +
           R"("commits":[],"head_commit":)" + head + R"(,"repository":)" +
           repositoryJson(facts.repository, host) +
           R"(,"pusher":{"name":"ada","email":"ada@example.org"},"sender":{"login":"ada","id":1}})";
}

inline std::string pullRequestJson(const HookFacts& facts,
                                   const std::string& host = "git.example.org")
{
    const std::string head =
        facts.headRepository.empty() ? "null" : repositoryJson(facts.headRepository, host);
    return R"({"action":")" + facts.action + R"(","number":2,"pull_request":{"id":279147437,)" +
           R"("number":2,"state":"open","title":")" + facts.message +
           R"(","user":{"login":"ada","id":1},"draft":)" + boolean(facts.draft) +
           R"(,"head":{"label":"acme:x","ref":")" + facts.head + R"(","sha":")" + facts.commit +
           R"(","repo":)" + head + R"(},"base":{"ref":"main","sha":")" + hookCommit +
           R"(","repo":)" + repositoryJson(facts.repository, host) +
           R"(},"merged":false},"repository":)" + repositoryJson(facts.repository, host) +
           R"(,"sender":{"login":"ada","id":1}})";
}

inline std::string projectJson(const std::string& name)
{
    return R"({"id":15,"name":"x","web_url":"https://git.example.org/)" + name +
           R"(","git_ssh_url":"git@git.example.org:)" + name +
           R"(.git","git_http_url":"https://git.example.org/)" + name +
           R"(.git","path_with_namespace":")" + name + R"(","default_branch":"main"})";
}

inline std::string gitlabPushJson(const HookFacts& facts)
{
    const bool tag = facts.ref.starts_with("refs/tags/");
    return std::string(R"({"object_kind":")") + (tag ? "tag_push" : "push") +
           R"(","event_name":"push","before":"95790bf891e76fee5e1747ab589903a6a1f80f22","after":")" +
           (facts.deleted ? noCommit : facts.commit) + R"(","ref":")" + facts.ref +
           R"(","checkout_sha":)" + (facts.deleted ? "null" : "\"" + hookCommit + "\"") +
           R"(,"user_id":4,"user_name":"Ada Lovelace","user_username":"ada","project_id":15,)" +
           R"("project":)" + projectJson(facts.repository) +
           R"(,"commits":[{"id":"b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327","message":"older"},)" +
           R"({"id":")" + hookCommit + R"(","message":")" + facts.message +
           R"(","author":{"name":"Ada","email":"ada@example.org"}}],"total_commits_count":2})";
}

/// `action`: open, reopen, update or another; `more`: members of object_attributes.
inline std::string mergeRequestJson(const HookFacts& facts, const std::string& more = "",
                                    const std::string& changes = "{}")
{
    return R"({"object_kind":"merge_request","event_type":"merge_request",)" +
           std::string(R"("user":{"id":1,"name":"Ada Lovelace","username":"ada"},"project":)") +
           projectJson(facts.repository) + R"(,"object_attributes":{"id":99,"iid":7,)" +
           R"("target_branch":"main","source_branch":")" + facts.head +
           R"(","source_project_id":)" + (facts.headRepository == facts.repository ? "15" : "16") +
           R"(,"target_project_id":15,"title":"A title","draft":)" + boolean(facts.draft) +
           R"(,"last_commit":{"id":")" + facts.commit + R"(","message":")" + facts.message +
           R"(","author":{"name":"Ada","email":"ada@example.org"}},"action":")" + facts.action +
           "\"" + more + R"(},"changes":)" + changes + "}";
}

using HookHeaderMap = std::map<std::string, std::string>;

inline HookHeaderMap githubHeaders(const std::string& event, const std::string& delivery,
                                   const std::string& body, const std::string& secret)
{
    return {{"x-github-event", event},
            {"x-github-delivery", delivery},
            {"x-hub-signature-256", "sha256=" + agent::toHex(agent::hmacSha256(secret, body))}};
}

inline HookHeaderMap giteaHeaders(const std::string& event, const std::string& delivery,
                                  const std::string& body, const std::string& secret)
{
    return {{"x-gitea-event", event},
            {"x-gitea-delivery", delivery},
            {"x-gitea-signature", agent::toHex(agent::hmacSha256(secret, body))}};
}

inline HookHeaderMap gitlabHeaders(const std::string& event, const std::string& delivery,
                                   const std::string& secret)
{
    return {
        {"x-gitlab-event", event}, {"x-gitlab-event-uuid", delivery}, {"x-gitlab-token", secret}};
}

} // namespace agent::test
