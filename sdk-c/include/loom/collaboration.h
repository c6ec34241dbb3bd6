/* SPDX-License-Identifier: Apache-2.0 */
/* Agents that work together: request and reply, fan-out and fan-in, contract net, barriers, threads.
 *
 * All of it is made of ordinary events, so that any client in any language can take part. Replies come to the agent's
 * mailbox, the topic agent.{id}.replies, to which each agent is subscribed before anything of it is published; so nothing
 * is subscribed per request, and nothing is left behind. Who takes part answers to reply_to with the correlation_id:
 *
 * | pattern      | message                   | topic               | type                   | besides                        |
 * |--------------|---------------------------|---------------------|------------------------|--------------------------------|
 * | request      | request                   | the caller's        | the caller's           | reply_to mailbox; header loom.request if the
 * |              |                           |                     |                        | correlation_id is the caller's own |
 * |              | reply                     | reply_to            | the responder's        | correlation_id; loom.in_reply_to = loom.request |
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
 * Threads: everything may be called from any thread, from handlers, and in poll mode. Inside a handler the agent goes on
 * while it waits: replies are taken, and the callbacks below may then run inside the waiting handler; all other events
 * wait until it has returned. In poll mode, outside of handlers, waiting polls.
 * Functions that wait are not for a thread that polls no agent while another thread polls this one: LOOM_EBUSY. */
#ifndef LOOM_COLLABORATION_H
#define LOOM_COLLABORATION_H

#include <loom/action.h>

LOOM_BEGIN_DECLS

/* Limits, for each agent. What is over one is LOOM_EFULL. */
#define LOOM_REQUESTS_MAX 65536u      /* open at once */
#define LOOM_CONTRIBUTIONS_MAX 4096u  /* to one join; also the proposals of one contract and the parties of a barrier */
#define LOOM_JOIN_LINKS_MAX 128u      /* links of one agent.join span; the rest is counted */

/* ---- request and reply ---- */

/* What became of a request. */
typedef struct loom_request_report {
    bool sent;            /* false: it never left, and waiting was not begun */
    uint64_t waited_ns;
    uint64_t late;        /* replies that came after their request had timed out, of this agent, so far. When it grows,
                             timeouts are too short rather than responders missing */
} loom_request_report;

/* Zero and NULL mean the default, as in loom_emit_options. */
typedef struct loom_request_options {
    uint32_t timeout_ms;  /* 0: 30000 */
    const char *correlation_id; /* NULL: a fresh one. Several requests may share one: the header loom.request tells them
                             apart, which loom_agent_reply() answers to; a reply without it goes to the oldest */
    const char *type, *thread_id, *content_type, *baggage;
    const loom_header *headers;
    size_t header_count;
    uint8_t ttl;
    loom_request_report *report; /* filled in by loom_agent_request(); may be NULL */
} loom_request_options;

/* Publishes a request and waits for the first reply to it. On LOOM_OK *reply is the caller's reference; else it is NULL.
 * Topics have no responders to ask for: with nobody there, it times out. (Actions tell at once.)
 * LOOM_EINVAL.  LOOM_ETOOBIG.  LOOM_EFULL.  LOOM_ECLOSED.  LOOM_ENOMEM.  LOOM_ENOTCONN: no connection in time, and nothing
 * was sent.  LOOM_ETIMEDOUT: no reply in time, or the hops of the event being handled are used up (report.sent false).
 * LOOM_EBUSY: handlers wait inside each other too deep.  Or the status with which the bridge refused the mailbox. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_request(loom_agent *agent, const char *topic, loom_bytes payload,
                                                        const loom_request_options *options, loom_envelope **reply);

/* status LOOM_OK: reply is borrowed, and is the event being handled: what is emitted here inherits from it. Otherwise
 * reply is NULL: LOOM_ETIMEDOUT, LOOM_ECANCELED, or LOOM_ECLOSED when the agent closes. */
typedef void (*loom_on_reply)(loom_agent *agent, loom_status status, loom_envelope *reply, void *user);
/* The same without waiting. on_reply runs exactly once if LOOM_OK is returned, on the agent's thread, at the latest when
 * the agent closes. request receives a number for loom_agent_request_cancel(); may be NULL. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_request_async(loom_agent *agent, const char *topic, loom_bytes payload,
                                                              const loom_request_options *options,
                                                              loom_on_reply on_reply, void *user, uint64_t *request);
/* LOOM_ENOTFOUND: it has ended. */
LOOM_API loom_status loom_agent_request_cancel(loom_agent *agent, uint64_t request);

/* Publishes to the event's reply_to, with its correlation_id and thread_id; of the options those two and reply_to are not
 * looked at. In the event's handler, or later with a reference kept: then as part of the event's trace, with its ttl.
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

/* When enough have contributed. Each source counts once. */
typedef struct loom_join_rule {
    loom_join_strategy strategy;
    uint32_t k;                 /* of LOOM_JOIN_FIRST */
    uint32_t expected;          /* how many there are. 0: so many as there are sources or targets; unknown without those,
                                   which all and majority cannot do with */
    const char *const *sources; /* whose contributions count, ended by NULL; NULL: everybody's */
    uint32_t deadline_ms;       /* 0: 30000 */
} loom_join_rule;

typedef enum loom_join_outcome {
    LOOM_JOIN_COMPLETE, /* everybody expected has contributed; when that is not known: the strategy is satisfied */
    LOOM_JOIN_QUORUM,   /* the strategy is satisfied, and not everybody has contributed */
    LOOM_JOIN_TIMEOUT,  /* the deadline has passed first: what came by then is there */
    LOOM_JOIN_FAILED    /* too many of the targets have failed to satisfy it any more */
} loom_join_outcome;
LOOM_API const char *loom_join_outcome_name(loom_join_outcome outcome); /* "complete", "quorum" …; "?" */

typedef struct loom_contribution {
    const char *source;   /* the agent, or the name given to loom_joiner_add(); of a call: the capability */
    size_t target;        /* of a fan-out: which one */
    loom_status status;   /* LOOM_OK, or why this target failed */
    loom_envelope *event; /* NULL: of a call, or nothing came */
    loom_result *result;  /* of a call */
} loom_contribution;

/* Belongs to who received it; what it points to, too. In order of arrival. */
typedef struct loom_joined {
    loom_join_outcome outcome;
    const char *key;        /* of a joiner; "" of a fan-out */
    uint32_t expected;      /* 0: not known */
    uint32_t received;      /* contributions with LOOM_OK */
    uint32_t failed;        /* the others */
    uint32_t ignored;       /* second ones of a source, and such of sources that do not count */
    size_t count;           /* received and failed */
    const loom_contribution *contributions;
} loom_joined;
LOOM_API void loom_joined_free(loom_joined *joined); /* NULL is allowed */

/* ---- fan-out ---- */

/* One of topic and capability. */
typedef struct loom_target {
    const char *topic;
    const char *capability;
    loom_bytes payload;     /* data NULL: the payload of the fan-out */
} loom_target;

/* Asks all targets at once and joins their answers. With one target, a topic, every responder contributes once; with
 * several, each target contributes once, by its first answer.
 * Spans: agent.fanout (INTERNAL) over the calls; when they are joined, agent.join (CONSUMER) as its child, with a link to
 * the creation context of each contribution.
 * On LOOM_OK *out is how it ended, whatever the outcome. Otherwise it is NULL: LOOM_EINVAL, LOOM_EFULL, LOOM_ECLOSED,
 * LOOM_ENOMEM, LOOM_ENOTCONN, LOOM_EBUSY, or why no target at all could be asked.
 * Of the options timeout_ms, correlation_id and report are not looked at. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_fanout(loom_agent *agent, const loom_target *targets, size_t count,
                                                       loom_bytes payload, const loom_join_rule *rule,
                                                       const loom_request_options *options, loom_joined **out);

/* ---- fan-in, of events that were not asked for ---- */

typedef struct loom_joiner loom_joiner;

/* One key is joined. On the agent's thread, inside the span agent.join; what is emitted here nests below it and inherits
 * from the first contribution. joined is borrowed. */
typedef void (*loom_on_joined)(loom_agent *agent, const loom_joined *joined, void *user);

typedef struct loom_joiner_options {
    loom_join_rule rule;        /* deadline_ms: of each key, from its first contribution */
    loom_on_joined on_joined;   /* required */
    void *user;
    uint32_t max_open;          /* keys at once; 0: 1024 */
    uint32_t remembered;        /* finished keys that late contributions are recognised by; 0: 1024 */
    const loom_trace_context *parent; /* of agent.join; NULL: the span in which the first contribution was added */
} loom_joiner_options;

typedef struct loom_joiner_stats {
    uint64_t joined;     /* keys, by any outcome */
    uint64_t timed_out;  /* those of them with LOOM_JOIN_TIMEOUT */
    uint64_t ignored;    /* second contributions, and of sources that do not count */
    uint64_t late;       /* to a key that had finished */
    uint64_t refused;    /* over max_open, or no memory */
    size_t open;         /* keys, now */
} loom_joiner_stats;

/* LOOM_EINVAL.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_joiner_open(loom_joiner **out, loom_agent *agent,
                                                      const loom_joiner_options *options);
/* Adds an event, mostly from its handler; a reference is taken. key NULL: its correlation_id. source NULL: its sender.
 * When this completes the key and the caller is in a handler, on_joined runs before it returns; otherwise soon, on the
 * agent's thread.
 * LOOM_EEXIST: the source has contributed, or the key has finished.  LOOM_EDENIED: the source does not count.
 * LOOM_EINVAL: key or source over LOOM_THREAD_ID_MAX.  LOOM_EFULL.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API loom_status loom_joiner_add(loom_joiner *joiner, const char *key, const char *source, loom_envelope *event);
LOOM_API loom_joiner_stats loom_joiner_get_stats(const loom_joiner *joiner);
/* Open keys are dropped; how many, its last stats tell. Before loom_agent_close(). NULL is allowed. */
LOOM_API void loom_joiner_close(loom_joiner *joiner);

/* ---- contract net ---- */

typedef enum loom_proposal_state {
    LOOM_PROPOSAL_REJECTED,  /* not among the best; its agent was told */
    LOOM_PROPOSAL_MISSING,   /* awarded, and no result in time */
    LOOM_PROPOSAL_COMPLETED,
    LOOM_PROPOSAL_FAILED     /* awarded, and its agent says that it could not do it */
} loom_proposal_state;

typedef struct loom_proposal {
    const char *agent;
    double score;
    loom_proposal_state state;
    loom_envelope *event;    /* the proposal */
    loom_envelope *result;   /* COMPLETED or FAILED; else NULL */
} loom_proposal;

/* Belongs to who received it; what it points to, too. Proposals best first; ties by arrival. */
typedef struct loom_contract {
    const loom_proposal *proposals;
    size_t count;
    uint32_t awarded, completed, failed, missing;
    uint32_t ignored;        /* second proposals of an agent, late ones, and such without a score */
} loom_contract;
LOOM_API void loom_contract_free(loom_contract *contract); /* NULL is allowed */

typedef struct loom_contract_options {
    uint32_t window_ms;      /* for proposals; 0: 1000 */
    uint32_t enough;         /* proposals that end the window early; 0: none do */
    uint32_t awards;         /* 0: 1 */
    bool lowest_first;       /* the lowest score is the best, as of a price */
    uint32_t result_ms;      /* from the award to the result; 0: 30000 */
    const char *thread_id, *content_type;
} loom_contract_options;

/* Calls for proposals, takes them during the window, awards the best, tells the others, and waits for the results.
 * Spans: agent.fanout over all of it; agent.join over the proposals and another one over the results.
 * *out is set when proposals could be asked for. LOOM_OK: every award was completed.  LOOM_ENORESPONDERS: no proposals.
 * LOOM_EREMOTE: at least one failed.  LOOM_ETIMEDOUT: at least one is missing, none failed.  Others as for requests. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_call_for_proposals(loom_agent *agent, const char *topic, loom_bytes task,
                                                                   const loom_contract_options *options,
                                                                   loom_contract **out);

/* The answer to a proposal, once, on the agent's thread. award is borrowed and the event being handled; NULL: rejected, no
 * answer came, or the agent closes. The work is done here, or later with a reference kept, and ends with
 * loom_agent_finish_award(). Anything but LOOM_OK is a failure told to the caller; then do not finish it as well. */
typedef loom_status (*loom_on_award)(loom_agent *agent, loom_envelope *award, void *user);
/* From the handler of a call for proposals. LOOM_EINVAL: the score is not finite.  Others as loom_agent_emit(). */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_propose(loom_agent *agent, loom_envelope *call, double score,
                                                        loom_bytes payload, loom_on_award on_award, void *user);
/* The result of an award. status other than LOOM_OK: it has failed; payload says more. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_finish_award(loom_agent *agent, loom_envelope *award, loom_status status,
                                                             loom_bytes payload);

/* ---- barrier ---- */

/* Waits until so many agents, this one among them, are at the barrier of this name. LOOM_OK: all have come, and all are
 * told. LOOM_ETIMEDOUT: not so many in time; the others are told that this one has gone. arrived receives how many were
 * there; may be NULL.
 * A name serves one meeting: take another one for the next, such as "load.1", "load.2". It has the form of a topic.
 * LOOM_EEXIST: this agent is waiting there already.  LOOM_EINVAL.  Others as for requests. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_barrier(loom_agent *agent, const char *name, uint32_t parties,
                                                        uint32_t timeout_ms, uint32_t *arrived);

/* ---- threads ---- */

typedef struct loom_thread loom_thread; /* an agent's part in a thread of conversation */

/* Joins: from its return on, what others post is handled, and participants hear of this one. Handlers run as those of
 * any subscription. An agent joins a thread once: LOOM_EEXIST. LOOM_EINVAL: the id has not the form of a topic.
 * LOOM_ENOTCONN, LOOM_ETIMEDOUT: not in time.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_thread_join(loom_thread **out, loom_agent *agent, const char *thread_id,
                                                            loom_on_event on_event, void *user, uint32_t timeout_ms);
/* Tells the others, and frees. Also from its handler. Before loom_agent_close(), which leaves what is left. */
LOOM_API void loom_thread_leave(loom_thread *thread); /* NULL is allowed */
/* To all others in the thread. Of the options thread_id is not looked at. Errors as loom_agent_emit(); posts made while
 * handling posts use up the hops of the first, so that agents that answer each other stop (LOOM_ETIMEDOUT). */
LOOM_API LOOM_MUST_CHECK loom_status loom_thread_post(loom_thread *thread, loom_bytes payload,
                                                      const loom_emit_options *options);
/* Visits the ids of those in the thread, this agent's too, in order, until visit returns false; returns how many there
 * are. Agents that join, leave or vanish meanwhile do not matter to it. LOOM_ENOMEM visits nobody and returns 0. */
LOOM_API size_t loom_thread_participants(loom_thread *thread, bool (*visit)(void *user, const char *agent), void *user);

/* ---- all of it ---- */

typedef struct loom_collaboration_stats {
    uint64_t requests;       /* begun, those of fan-outs too */
    uint64_t replies;        /* taken */
    uint64_t timeouts;
    uint64_t late_replies;   /* to a request that had timed out */
    uint64_t surplus_replies; /* to one that was answered, cancelled, or forgotten */
    size_t open;             /* now: requests, calls for proposals, proposals, barriers, threads */
} loom_collaboration_stats;
LOOM_API loom_collaboration_stats loom_agent_collaboration(const loom_agent *agent);

LOOM_END_DECLS
#endif
