-- Grain: one row a (grain, period_start_date, decomposition, driver): each driver's part of the
-- change of net sales from the period before. The contributions of one period and decomposition add
-- up to the change, to the cent.
--
-- Decomposition 'households': net sales = active households x visits per household x average basket
-- value, by the log-mean Divisia method (LMDI-I), which leaves no remainder: a driver contributes
-- L(s1, s0) * ln(x1 / x0), with L(a, b) = (a - b) / ln(a / b) and L(a, a) = a. Each contribution is
-- rounded to the cent; what rounding leaves over goes to the largest one.
with compared as (

    select * from {{ ref('int_kpis__sales_compared') }}

),

logged as (

    select
        grain,
        period_start_date,
        net_sales_usd,
        previous_net_sales_usd,
        net_sales_usd - previous_net_sales_usd as change_usd,
        case
            when net_sales_usd = previous_net_sales_usd then cast(net_sales_usd as double)
            else
                cast(net_sales_usd - previous_net_sales_usd as double)
                / ln(cast(net_sales_usd as double) / cast(previous_net_sales_usd as double))
        end as log_mean,
        ln(cast(active_household_count as double) / cast(previous_active_household_count as double))
            as log_households,
        ln(cast(basket_count as double) / cast(previous_basket_count as double)) as log_baskets,
        ln(cast(net_sales_usd as double) / cast(previous_net_sales_usd as double)) as log_sales
    from compared
    where
        slice = 'all'
        -- Of nothing, and to nothing, there are no logarithms.
        and net_sales_usd > 0
        and previous_net_sales_usd > 0
        and active_household_count > 0
        and previous_active_household_count > 0

),

split as (

    select
        *,
        cast(log_mean * log_households as decimal(28, 2)) as households_usd,
        cast(log_mean * (log_baskets - log_households) as decimal(28, 2)) as visits_usd,
        cast(log_mean * (log_sales - log_baskets) as decimal(28, 2)) as basket_value_usd
    from logged

),

remaining as (

    select
        *,
        change_usd - households_usd - visits_usd - basket_value_usd as remainder_usd,
        greatest(abs(households_usd), abs(visits_usd), abs(basket_value_usd)) as largest_usd
    from split

),

assigned as (

    select
        *,
        case
            when abs(households_usd) = largest_usd then 'active_households'
            when abs(visits_usd) = largest_usd then 'visits_per_active_household'
            else 'average_basket_value'
        end as largest_driver
    from remaining

),

drivers as (

    {% for driver, contribution in {
        'active_households': 'households_usd',
        'visits_per_active_household': 'visits_usd',
        'average_basket_value': 'basket_value_usd',
    }.items() %}
        select
            grain,
            period_start_date,
            'households' as decomposition,
            '{{ driver }}' as driver,
            net_sales_usd,
            previous_net_sales_usd,
            change_usd,
            {{ contribution }}
            + case when largest_driver = '{{ driver }}' then remainder_usd else 0 end
                as contribution_usd
        from assigned
        union all
    {% endfor %}
    -- Without logarithms, the change is that of the households that came or stayed away.
    select
        compared.grain,
        compared.period_start_date,
        'households' as decomposition,
        'active_households' as driver,
        compared.net_sales_usd,
        compared.previous_net_sales_usd,
        compared.net_sales_usd - compared.previous_net_sales_usd as change_usd,
        compared.net_sales_usd - compared.previous_net_sales_usd as contribution_usd
    from compared
    left join logged
        on
            compared.grain = logged.grain
            and compared.period_start_date = logged.period_start_date
    where
        compared.slice = 'all'
        and logged.grain is null
    union all
    select
        parts.grain,
        parts.period_start_date,
        'departments' as decomposition,
        parts.slice_value as driver,
        whole.net_sales_usd,
        whole.previous_net_sales_usd,
        whole.net_sales_usd - whole.previous_net_sales_usd as change_usd,
        parts.net_sales_usd - parts.previous_net_sales_usd as contribution_usd
    from compared as parts
    inner join compared as whole
        on
            parts.grain = whole.grain
            and parts.period_start_date = whole.period_start_date
            and whole.slice = 'all'
    where parts.slice = 'department'

),

final as (

    select
        grain,
        period_start_date,
        decomposition,
        driver,
        cast(net_sales_usd as decimal(28, 2)) as net_sales_usd,
        cast(previous_net_sales_usd as decimal(28, 2)) as previous_net_sales_usd,
        cast(change_usd as decimal(28, 2)) as change_usd,
        cast(contribution_usd as decimal(28, 2)) as contribution_usd
    from drivers

)

select * from final
