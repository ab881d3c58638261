-- A basket has one household, one store and one time. fct_baskets relies on it. A row here is a
-- basket_id that the source used for several visits: add to the basket's key what tells them apart.
{{ config(group='sales') }}

select basket_id
from {{ ref('int_sales__lines_priced') }}
group by basket_id
having
    min(household_id) <> max(household_id)
    or min(store_id) <> max(store_id)
    or min(sold_at) <> max(sold_at)
