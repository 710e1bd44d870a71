"""
What is asked of Linear. Its schema: https://github.com/linear/linear, packages/sdk/src/schema.graphql.

Sizes of pages are chosen by Linear's price of a query (each object a point, times the sizes of the lists it stands in,
at most 10,000 a query): 20 issues with 15 changes of 9 objects each are about 5,000.
"""

from __future__ import annotations

ISSUES_PER_PAGE = 20
CHANGES_BESIDE = 15
CHANGES_PER_PAGE = 50
COMMENTS_PER_PAGE = 50

_CHANGE = """
      id createdAt updatedAt actor { name app guest } botActor { name }
      fromState { id name } toState { id name }
      fromAssignee { id name } toAssignee { id name }
      fromDelegate { id name } toDelegate { id name }
      fromPriority toPriority
      addedLabels { name } removedLabels { name }
"""

ISSUES = f"""
query Issues($filter: IssueFilter, $after: String) {{
  issues(filter: $filter, after: $after, first: {ISSUES_PER_PAGE}, includeArchived: true,
         sort: [{{ updatedAt: {{ order: Ascending }} }}]) {{
    nodes {{
      id identifier title description url createdAt updatedAt
      state {{ name }} assignee {{ name }}
      creator {{ name app guest }} botActor {{ name }} externalUserCreator {{ name }}
      labels(first: 30) {{ nodes {{ name }} }}
      history(first: {CHANGES_BESIDE}) {{ nodes {{ {_CHANGE} }} pageInfo {{ hasNextPage endCursor }} }}
    }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""

HISTORY = f"""
query History($id: String!, $after: String) {{
  issue(id: $id) {{
    history(first: {CHANGES_PER_PAGE}, after: $after) {{
      nodes {{ {_CHANGE} }}
      pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}
"""

COMMENTS = f"""
query Comments($filter: CommentFilter, $after: String) {{
  comments(filter: $filter, after: $after, first: {COMMENTS_PER_PAGE}, orderBy: createdAt) {{
    nodes {{
      id body url createdAt user {{ name app guest }} botActor {{ name }} externalUser {{ name }}
      issue {{ id identifier title url state {{ name }} assignee {{ name }} creator {{ name app guest }} }}
    }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""

VIEWER = """
query Viewer($team: TeamFilter) {
  viewer { id name }
  teams(filter: $team, first: 1) { nodes { key name } }
}
"""
