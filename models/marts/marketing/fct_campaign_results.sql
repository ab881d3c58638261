-- Grain: one row a campaign. Redemptions add up over campaigns; households do not, for one can be
-- targeted by several.
with campaigns as (

    select * from {{ ref('dim_campaigns') }}
    where not is_unknown

),

campaign_households as (

    select * from {{ ref('fct_campaign_households') }}

),

final as (

    select
        campaigns.campaign_id,
        count(campaign_households.household_id) as targeted_household_count,
        count(case when campaign_households.has_redeemed then 1 end) as redeeming_household_count,
        cast(coalesce(sum(campaign_households.redemption_count), 0) as bigint) as redemption_count
    from campaigns
    left join campaign_households on campaigns.campaign_id = campaign_households.campaign_id
    group by campaigns.campaign_id

)

select * from final
