-- Household months add up to the baskets of known households, month by month and to the cent. A
-- row here is a month on which they do not: the spine of months misses a household or has it
-- twice. Look at fct_household_months.
with baskets as (

    select
        dates.month_start_date,
        count(*) as visit_count,
        count(distinct baskets.household_id) as active_households,
        sum(baskets.net_sales_usd) as net_sales_usd
    from {{ ref('fct_baskets') }} as baskets
    -- A basket on a date that the calendar lacks is of no month, and so of none of the others.
    left join {{ ref('dim_dates') }} as dates
        on baskets.business_date = dates.business_date
    where baskets.household_id <> {{ unknown_key() }}
    group by dates.month_start_date

),

household_months as (

    select
        month_start_date,
        sum(visit_count) as visit_count,
        count(case when is_active then 1 end) as active_households,
        sum(net_sales_usd) as net_sales_usd
    from {{ ref('fct_household_months') }}
    group by month_start_date

)

select
    household_months.month_start_date,
    baskets.visit_count as visit_count_of_baskets,
    household_months.visit_count as visit_count_of_months,
    baskets.net_sales_usd as net_sales_usd_of_baskets,
    household_months.net_sales_usd as net_sales_usd_of_months
from baskets
full outer join household_months
    on baskets.month_start_date = household_months.month_start_date
where
    coalesce(baskets.visit_count, 0) <> coalesce(household_months.visit_count, 0)
    or coalesce(baskets.active_households, 0) <> coalesce(household_months.active_households, 0)
    or coalesce(baskets.net_sales_usd, 0) <> coalesce(household_months.net_sales_usd, 0)
