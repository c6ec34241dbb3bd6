/* SPDX-License-Identifier: Apache-2.0 */
/* Agents that work together: request and reply, fan-out and fan-in, contract net, barriers, threads.
 *
 * All of these consist of ordinary events, so a client in any language can take part. Replies go to the agent's mailbox, the
 * topic agent.{id}.replies. Every agent subscribes to its own before it publishes anything, so a request needs no
 * subscription of its own and leaves none behind. A participant answers to reply_to, with the correlation_id:
 *
 * | pattern      | message                   | topic               | type                   | besides                        |
 * |--------------|---------------------------|---------------------|------------------------|--------------------------------|
 * | request      | request                   | the caller's        | the caller's           | reply_to mailbox; header loom.request if the
 * |              |                           |                     |                        | correlation_id is the caller's own |
 * |              | reply                     | reply_to            | the responder's        | correlation_id; loom.in_reply_to = loom.request |
 * | ping         | request                   | the agent's mailbox | loom.ping              | answered by libloom itself: loom.pong |
 * | fan-out      | as requests, one for each target                                                                       |
 * | contract net | call                      | the caller's        | loom.contract.call     | reply_to mailbox; header loom.contract.window_ms |
 * |              | proposal                  | reply_to            | loom.contract.proposal | reply_to own mailbox; headers loom.contract.score
 * |              |                           |                     |                        | (a number as text), loom.request |
 * |              | award, or rejection       | proposal's reply_to | loom.contract.award,   | correlation_id; loom.in_reply_to;
 * |              |                           |                     |                        | an award's payload is the task   |
 * |              |                           |                     | loom.contract.reject   |                                |
 * |              | result                    | award's reply_to    | loom.contract.result,  | correlation_id                 |
 * |              |                           |                     | loom.contract.failure  |                                |
 * | barrier      | I am here                 | barrier.{name}      | loom.barrier.arrive    | reply_to mailbox               |
 * |              | so am I, to each newcomer | reply_to            | loom.barrier.present   | correlation_id                 |
 * |              | I have given up           | barrier.{name}      | loom.barrier.leave     |                                |
 * | thread       | I join                    | thread.{id}         | loom.thread.join       | reply_to mailbox               |
 * |              | I am in it, to a newcomer | reply_to            | loom.thread.present    | correlation_id                 |
 * |              | I leave                   | thread.{id}         | loom.thread.leave      |                                |
 * |              | anything else             | thread.{id}         | any other              | thread_id = {id}               |
 *
 * Threads: all functions may be called from any thread, from handlers, and in poll mode. While a handler waits its agent
 * keeps working: it receives replies, and the callbacks below may run inside the waiting handler; all other events wait
 * until the handler returns. In poll mode, outside of handlers, a function that waits polls; it returns LOOM_EBUSY while
 * another thread is polling the agent. */
#ifndef LOOM_COLLABORATION_H
#define LOOM_COLLABORATION_H

#include <loom/action.h>

LOOM_BEGIN_DECLS

/* Limits of each agent; LOOM_EFULL above them. */
#define LOOM_REQUESTS_MAX 65536u      /* open at once */
#define LOOM_CONTRIBUTIONS_MAX 4096u  /* to one join; also the proposals of one contract and the parties of a barrier */
#define LOOM_JOIN_LINKS_MAX 128u      /* links of one agent.join span; further ones are only counted */

/* The type of an event that asks an agent, at its mailbox, whether it is there. Every agent of libloom answers. */
#define LOOM_PING_TYPE "loom.ping"

/* ---- request and reply ---- */

/* What became of a request. */
typedef struct loom_request_report {
    bool sent;            /* false: it was never sent, and nothing was waited for */
    uint64_t waited_ns;
    uint64_t late;        /* replies to this agent, so far, that arrived after their request had timed out. If it grows,
                             timeouts are too short rather than responders missing */
} loom_request_report;

/* Zero and NULL mean the default, as in loom_emit_options. */
typedef struct loom_request_options {
    uint32_t timeout_ms;  /* 0: 30000 */
    const char *correlation_id; /* NULL: a new one. Requests may share one: the header loom.request, which
                             loom_agent_reply() copies, tells them apart; a reply without it goes to the oldest */
    const char *type, *thread_id, *content_type, *baggage;
    const loom_header *headers;
    size_t header_count;
    uint8_t ttl;
    loom_request_report *report; /* filled in by loom_agent_request(); may be NULL */
} loom_request_options;

/* Publishes a request and waits for the first reply. On LOOM_OK the caller owns one reference in *reply; otherwise *reply is
 * NULL. A request that matches no subscription fails at once (LOOM_ENORESPONDERS), from a bridge that can tell; whether a
 * subscriber replies nobody knows beforehand.
 * LOOM_EINVAL.  LOOM_ETOOBIG.  LOOM_EFULL.  LOOM_ECLOSED.  LOOM_ENOMEM.  LOOM_ENOTCONN: not connected in time; nothing was
 * sent.  LOOM_ETIMEDOUT: no reply in time, or the event being handled has no hops left (report.sent is false, and
 * loom_last_error() says so).
 * LOOM_EBUSY: handlers wait inside each other too deep.  Or the status with which the bridge refused the mailbox. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_request(loom_agent *agent, const char *topic, loom_bytes payload,
                                                        const loom_request_options *options, loom_envelope **reply);

/* LOOM_OK: reply is borrowed, and is the event being handled, from which events emitted here inherit. Otherwise reply is
 * NULL: LOOM_ENORESPONDERS, LOOM_ETIMEDOUT, LOOM_ECANCELED, or LOOM_ECLOSED when the agent closes. */
typedef void (*loom_on_reply)(loom_agent *agent, loom_status status, loom_envelope *reply, void *user);
/* The same without waiting. If LOOM_OK is returned, on_reply runs exactly once, on the agent's thread, no later than the
 * agent closes. *request is set to a number for loom_agent_request_cancel(); request may be NULL. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_request_async(loom_agent *agent, const char *topic, loom_bytes payload,
                                                              const loom_request_options *options,
                                                              loom_on_reply on_reply, void *user, uint64_t *request);
/* LOOM_ENOTFOUND: it has ended. */
LOOM_API loom_status loom_agent_request_cancel(loom_agent *agent, uint64_t request);

/* Publishes to the event's reply_to, with its correlation_id and thread_id; these three are ignored in options. Call it in
 * the event's handler, or later with a reference to the event: the reply still belongs to the event's trace and has its ttl.
 * Errors as loom_agent_emit(). */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_reply(loom_agent *agent, loom_envelope *event, loom_bytes payload,
                                                      const loom_emit_options *options);

/* ---- joining ---- */

typedef enum loom_join_strategy {
    LOOM_JOIN_ALL,      /* all that are expected */
    LOOM_JOIN_FIRST,    /* the first k */
    LOOM_JOIN_ANY,      /* the first one */
    LOOM_JOIN_MAJORITY  /* more than half of those expected */
} loom_join_strategy;

/* When a join is complete. Each source counts once. */
typedef struct loom_join_rule {
    loom_join_strategy strategy;
    uint32_t k;                 /* of LOOM_JOIN_FIRST */
    uint32_t expected;          /* how many there are; 0: as many as sources or targets. Without either it is unknown, which
                                   LOOM_JOIN_ALL and LOOM_JOIN_MAJORITY do not allow */
    const char *const *sources; /* whose contributions count, terminated by NULL; NULL: everybody's */
    uint32_t deadline_ms;       /* 0: 30000 */
} loom_join_rule;

typedef enum loom_join_outcome {
    LOOM_JOIN_COMPLETE, /* all that were expected have contributed; if their number is unknown: the strategy is satisfied */
    LOOM_JOIN_QUORUM,   /* the strategy is satisfied, but not all have contributed */
    LOOM_JOIN_TIMEOUT,  /* the deadline passed first; the contributions received by then are there */
    LOOM_JOIN_FAILED    /* too many targets have failed for the strategy to be satisfied */
} loom_join_outcome;
LOOM_API const char *loom_join_outcome_name(loom_join_outcome outcome); /* "complete", "quorum" …; "?" */

typedef struct loom_contribution {
    const char *source;   /* the agent, or the name given to loom_joiner_add(); of a call: the capability */
    size_t target;        /* in a fan-out: the index of the target */
    loom_status status;   /* LOOM_OK, or why this target failed */
    loom_envelope *event; /* NULL: this was a call, or nothing was received */
    loom_result *result;  /* of a call */
} loom_contribution;

/* Owned by whoever receives it, with all it points to. Contributions are in order of arrival. */
typedef struct loom_joined {
    loom_join_outcome outcome;
    const char *key;        /* of a joiner; "" of a fan-out */
    uint32_t expected;      /* 0: unknown */
    uint32_t received;      /* contributions with LOOM_OK */
    uint32_t failed;        /* the others */
    uint32_t ignored;       /* further contributions of a source, and those of sources that do not count */
    size_t count;           /* received + failed */
    const loom_contribution *contributions;
} loom_joined;
LOOM_API void loom_joined_free(loom_joined *joined); /* NULL is allowed */

/* ---- fan-out ---- */

/* Either a topic or a capability. */
typedef struct loom_target {
    const char *topic;
    const char *capability;
    loom_bytes payload;     /* data NULL: the payload of the fan-out */
} loom_target;

/* Asks all targets at once and joins their answers. A single target that is a topic gets one contribution from each
 * responder; otherwise each target contributes its first answer.
 * Spans: agent.fanout (INTERNAL) covers the requests; agent.join (CONSUMER), its child, starts when they are joined and has a
 * link to the creation context of each contribution.
 * On LOOM_OK *out is set, whatever the outcome. Otherwise it is NULL: LOOM_EINVAL, LOOM_EFULL, LOOM_ECLOSED, LOOM_ENOMEM,
 * LOOM_ENOTCONN, LOOM_EBUSY, or the reason why no target could be asked.
 * timeout_ms, correlation_id and report are ignored in options. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_fanout(loom_agent *agent, const loom_target *targets, size_t count,
                                                       loom_bytes payload, const loom_join_rule *rule,
                                                       const loom_request_options *options, loom_joined **out);

/* ---- fan-in: joining unsolicited events ---- */

typedef struct loom_joiner loom_joiner;

/* A key has been joined. Runs on the agent's thread, inside the span agent.join: events emitted here nest below it, and
 * inherit from the first contribution. joined is borrowed. */
typedef void (*loom_on_joined)(loom_agent *agent, const loom_joined *joined, void *user);

typedef struct loom_joiner_options {
    loom_join_rule rule;        /* deadline_ms: of each key, from its first contribution */
    loom_on_joined on_joined;   /* required */
    void *user;
    uint32_t max_open;          /* keys open at once; 0: 1024 */
    uint32_t remembered;        /* finished keys remembered, to recognise late contributions; 0: 1024 */
    const loom_trace_context *parent; /* of agent.join; NULL: the span in which the first contribution was added */
} loom_joiner_options;

typedef struct loom_joiner_stats {
    uint64_t joined;     /* keys, with any outcome */
    uint64_t timed_out;  /* of these, with LOOM_JOIN_TIMEOUT */
    uint64_t ignored;    /* further contributions of a source, and those of sources that do not count */
    uint64_t late;       /* contributions to a key that had finished */
    uint64_t refused;    /* contributions over max_open, or out of memory */
    size_t open;         /* keys, now */
} loom_joiner_stats;

/* LOOM_EINVAL.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_joiner_open(loom_joiner **out, loom_agent *agent,
                                                      const loom_joiner_options *options);
/* Adds an event, usually from its handler; takes a reference of its own. key NULL: the event's correlation_id. source NULL:
 * its sender. If this completes the key, on_joined runs before the function returns when the caller is in a handler, and
 * otherwise soon after, on the agent's thread.
 * LOOM_EEXIST: the source has contributed already, or the key has finished.  LOOM_EDENIED: the source does not count.
 * LOOM_EINVAL: key or source over LOOM_THREAD_ID_MAX.  LOOM_EFULL.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API loom_status loom_joiner_add(loom_joiner *joiner, const char *key, const char *source, loom_envelope *event);
LOOM_API loom_joiner_stats loom_joiner_get_stats(const loom_joiner *joiner);
/* Drops open keys; loom_joiner_get_stats() says how many there are. To be called before loom_agent_close(). NULL is allowed. */
LOOM_API void loom_joiner_close(loom_joiner *joiner);

/* ---- contract net ---- */

typedef enum loom_proposal_state {
    LOOM_PROPOSAL_REJECTED,  /* not among the best; its agent has been notified */
    LOOM_PROPOSAL_MISSING,   /* awarded, but no result in time */
    LOOM_PROPOSAL_COMPLETED,
    LOOM_PROPOSAL_FAILED     /* awarded, but its agent reported failure */
} loom_proposal_state;

typedef struct loom_proposal {
    const char *agent;
    double score;
    loom_proposal_state state;
    loom_envelope *event;    /* the proposal */
    loom_envelope *result;   /* of COMPLETED and FAILED; else NULL */
} loom_proposal;

/* Owned by whoever receives it, with all it points to. Proposals are ordered best first, ties by arrival. */
typedef struct loom_contract {
    const loom_proposal *proposals;
    size_t count;
    uint32_t awarded, completed, failed, missing;
    uint32_t ignored;        /* further proposals of an agent, late ones, and those without a score */
} loom_contract;
LOOM_API void loom_contract_free(loom_contract *contract); /* NULL is allowed */

typedef struct loom_contract_options {
    uint32_t window_ms;      /* for proposals; 0: 1000 */
    uint32_t enough;         /* proposals that end the window early; 0: none do */
    uint32_t awards;         /* 0: 1 */
    bool lowest_first;       /* the lowest score is the best, as with prices */
    uint32_t result_ms;      /* from the award to the result; 0: 30000 */
    const char *thread_id, *content_type;
} loom_contract_options;

/* Calls for proposals, collects them during the window, awards the best, rejects the others, and waits for the results.
 * Spans: agent.fanout covers all of it; one agent.join covers the proposals and another one the results.
 * *out is set if the call for proposals was sent. LOOM_OK: every award was completed.  LOOM_ENORESPONDERS: no proposals.
 * LOOM_EREMOTE: at least one award failed.  LOOM_ETIMEDOUT: none failed, but a result is missing.  Others as for requests. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_call_for_proposals(loom_agent *agent, const char *topic, loom_bytes task,
                                                                   const loom_contract_options *options,
                                                                   loom_contract **out);

/* The answer to a proposal; once, on the agent's thread. award is borrowed, and is the event being handled; NULL: the
 * proposal was rejected, no answer came, or the agent is closing. Do the work here, or later with a reference to award, and
 * then call loom_agent_finish_award(). Returning anything but LOOM_OK reports failure: do not finish the award then. */
typedef loom_status (*loom_on_award)(loom_agent *agent, loom_envelope *award, void *user);
/* Proposes; from the handler of a call for proposals. LOOM_EINVAL: score is not finite.  Others as loom_agent_emit(). */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_propose(loom_agent *agent, loom_envelope *call, double score,
                                                        loom_bytes payload, loom_on_award on_award, void *user);
/* Sends the result of an award. A status other than LOOM_OK reports failure, with details in payload. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_finish_award(loom_agent *agent, loom_envelope *award, loom_status status,
                                                             loom_bytes payload);

/* ---- barrier ---- */

/* Waits until this many agents, including this one, are at the barrier of this name. LOOM_OK: all have arrived, and all know.
 * LOOM_ETIMEDOUT: too few in time; the others are notified that this one has left. *arrived is set to how many were there;
 * arrived may be NULL.
 * A name serves one meeting; use another one for the next, such as "load.1", "load.2". It has the form of a topic.
 * LOOM_EEXIST: this agent is already waiting there.  LOOM_EINVAL.  Others as for requests. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_barrier(loom_agent *agent, const char *name, uint32_t parties,
                                                        uint32_t timeout_ms, uint32_t *arrived);

/* ---- threads ---- */

typedef struct loom_thread loom_thread; /* an agent's part in a thread of conversation */

/* Joins a thread: from then on its posts are handled, as events of any subscription, and its participants know of this one.
 * LOOM_EEXIST: this agent has joined it already.  LOOM_EINVAL: the id does not have the form of a topic.
 * LOOM_ENOTCONN, LOOM_ETIMEDOUT: not in time.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_thread_join(loom_thread **out, loom_agent *agent, const char *thread_id,
                                                            loom_on_event on_event, void *user, uint32_t timeout_ms);
/* Notifies the others, and frees thread. Also from its handler. loom_agent_close() frees threads that were not left; do not
 * use them after it. */
LOOM_API void loom_thread_leave(loom_thread *thread); /* NULL is allowed */
/* Posts to all others in the thread. thread_id is ignored in options. Errors as loom_agent_emit(); a post made while handling
 * a post inherits its remaining hops, so that agents that answer each other stop (LOOM_ETIMEDOUT). */
LOOM_API LOOM_MUST_CHECK loom_status loom_thread_post(loom_thread *thread, loom_bytes payload,
                                                      const loom_emit_options *options);
/* Visits the ids of the participants, including this agent's, in order, until visit returns false; returns how many there
 * are. Works on a copy, so participants may come and go meanwhile. Out of memory: visits none and returns 0. */
LOOM_API size_t loom_thread_participants(loom_thread *thread, bool (*visit)(void *user, const char *agent), void *user);

/* ---- statistics ---- */

typedef struct loom_collaboration_stats {
    uint64_t requests;       /* sent, including those of fan-outs */
    uint64_t replies;        /* received in time */
    uint64_t timeouts;
    uint64_t late_replies;   /* to a request that had timed out */
    uint64_t surplus_replies; /* to one that had been answered, cancelled or forgotten */
    size_t open;             /* now: requests, calls for proposals, proposals, barriers, threads */
} loom_collaboration_stats;
LOOM_API loom_collaboration_stats loom_agent_collaboration(const loom_agent *agent);

LOOM_END_DECLS
#endif
