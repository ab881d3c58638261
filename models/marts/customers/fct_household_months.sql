-- Grain: one row a household and calendar month, from the month of its first purchase to the
-- month of the latest sale, whether it shopped in the month or not.
-- Sales and visits add up over households and months; days_since_last_visit does not.
with spine as (

    select * from {{ ref('int_customers__household_months_spined') }}

),

baskets as (

    select * from {{ ref('fct_baskets') }}

),

monthly as (

    select
        household_id,
        cast({{ dbt.date_trunc('month', 'business_date') }} as date) as month_starts_on,
        count(*) as visits,
        sum(net_sales_usd) as net_sales_usd,
        max(business_date) as last_visit_date
    from baskets
    group by household_id, cast({{ dbt.date_trunc('month', 'business_date') }} as date)

),

joined as (

    select
        spine.household_id,
        spine.month_starts_on,
        spine.observed_until_date,
        spine.first_purchase_date,
        coalesce(monthly.visits, 0) as visits,
        coalesce(monthly.net_sales_usd, 0) as net_sales_usd,
        max(monthly.last_visit_date) over (
            partition by spine.household_id
            order by spine.month_starts_on
            rows between unbounded preceding and current row
        ) as last_visit_date
    from spine
    left join monthly
        on
            spine.household_id = monthly.household_id
            and spine.month_starts_on = monthly.month_starts_on

),

final as (

    select
        household_id,
        month_starts_on,
        visits,
        {{ usd('net_sales_usd') }} as net_sales_usd,
        last_visit_date,
        cast({{ dbt.datediff('last_visit_date', 'observed_until_date', 'day') }} as integer) as days_since_last_visit,
        visits > 0 as is_active,
        month_starts_on = cast({{ dbt.date_trunc('month', 'first_purchase_date') }} as date) as is_new,
        -- Months of a household follow each other without a gap, so the row before is last month.
        visits > 0
        and coalesce(
            lag(visits) over (partition by household_id order by month_starts_on), 0
        ) > 0 as is_retained
    from joined

)

select * from final
